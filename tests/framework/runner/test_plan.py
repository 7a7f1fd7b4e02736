"""From what is asked for to pytest's command lines."""

import sys
from pathlib import Path

import pytest

from envmatrix.exceptions import DeclarationError, UnknownEnvironmentError, UsageError
from envmatrix.runner.plan import Plan, make_plan
from envmatrix.runs.directory import RunDir
from tests.framework.bare import Bare


@pytest.fixture(autouse=True)
def _here(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bare.root)


def arguments(plan: Plan, bare: Bare) -> list[str]:
    """What pytest is given in the first environment, our own options left out."""
    run_dir = RunDir.create(bare.root / ".envmatrix/runs", plan.labels)
    python, module, name, *rest = plan.job(plan.environments[0], run_dir).command
    assert (python, module, name) == (sys.executable, "-m", "pytest")
    cut = next(number for number, word in enumerate(rest) if word.startswith("cache_dir=")) + 1
    return rest[cut:]


def test_all_that_is_declared_is_run_where_nothing_is_named() -> None:
    """Sorted by name."""
    assert [environment.name for environment in make_plan([]).environments] == ["local", "staging"]


def test_only_what_is_named_is_run_and_each_once() -> None:
    """In the order named."""
    assert [environment.name for environment in make_plan(["staging", "staging"]).environments] == ["staging"]


@pytest.mark.fault("typo-environment")
def test_a_mistyped_name_is_refused_before_anything_runs(bare: Bare) -> None:
    """With the nearest name; no run directory is made."""
    with pytest.raises(UnknownEnvironmentError, match="Did you mean 'staging'"):
        make_plan(["local", "stagin"])
    assert not (bare.root / ".envmatrix").exists()


@pytest.mark.fault("unset-variable")
def test_a_wrong_declaration_is_refused_before_anything_runs(bare: Bare) -> None:
    """One environment that cannot be loaded stops the plan."""
    bare.write("environments/z.toml", '[services.a]\nkind = "http"\nsource = "remote"\nurl = "${NOWHERE_SET_URL}"\n')
    with pytest.raises(DeclarationError, match="NOWHERE_SET_URL is not set"):
        make_plan([])


def test_a_directory_without_declarations_is_refused(bare: Bare) -> None:
    """Nothing to run is a usage error."""
    empty = bare.root / "empty"
    empty.mkdir()
    with pytest.raises(UsageError) as caught:
        make_plan([], environments_dir=Path("empty"))
    assert str(caught.value) == f"no environment is declared in {empty}. Declare one: NAME.toml in that directory"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ["suite"]),
        (["-x", "-q"], ["suite", "-x", "-q"]),
        (["-k", "suite"], ["suite", "-k", "suite"]),
        (["-m", "suite", "--lf"], ["suite", "-m", "suite", "--lf"]),
        (["suite/test_a.py"], ["{here}/suite/test_a.py"]),
        (["suite/test_a.py::test_a", "-x"], ["{here}/suite/test_a.py::test_a", "-x"]),
        (["gone.py::test_a"], ["gone.py::test_a"]),
        (["--rootdir=suite"], ["suite", "--rootdir=suite"]),
        (["--deselect", "suite/test_a.py::test_a"], ["suite", "--deselect", "suite/test_a.py::test_a"]),
        (["--ignore", "suite"], ["suite", "--ignore", "suite"]),
        (["--lf", "suite/test_a.py"], ["--lf", "{here}/suite/test_a.py"]),
        (["--tx", "ssh=far"], ["-o", "testpaths=suite", "--tx", "ssh=far"]),
        (["--tx=ssh=far", "--rsyncdir=suite"], ["suite", "--tx=ssh=far", "--rsyncdir=suite"]),
    ],
)
def test_paths_replace_the_suites_and_options_do_not(bare: Bare, given: list[str], expected: list[str]) -> None:
    """What names a test is run instead of the project's suites; an option's value is no path, nor is what xdist would refuse."""
    assert arguments(make_plan(["local"], pytest_args=given), bare) == [
        word.format(here=bare.root) for word in expected
    ]


def test_paths_are_those_of_the_directory_one_stands_in(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytest runs in the project's root; what was named below it still means the same."""
    monkeypatch.chdir(bare.root / "suite")
    plan = make_plan(["local"], pytest_args=["test_a.py"])
    assert plan.project.root == bare.root
    assert arguments(plan, bare) == [f"{bare.root}/suite/test_a.py"]


def test_each_environment_has_its_own_files_and_cache(bare: Bare) -> None:
    """So that `--lf` means what failed there, and nothing is written twice."""
    plan = make_plan([])
    run_dir = RunDir.create(bare.root / ".envmatrix/runs", plan.labels)
    one, two = (plan.job(environment, run_dir) for environment in plan.environments)
    assert not {one.run_file, one.log_file} & {two.run_file, two.log_file}
    caches = {word for job in (one, two) for word in job.command if word.startswith("cache_dir=")}
    assert caches == {f"cache_dir={bare.root}/.envmatrix/cache/{name}" for name in ("local", "staging")}


@pytest.mark.parametrize(
    ("retries", "plugins"), [(0, ["envmatrix", "timeout"]), (2, ["envmatrix", "timeout", "rerunfailures"])]
)
def test_a_run_loads_what_it_needs_where_pytest_loads_nothing(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, retries: int, plugins: list[str]
) -> None:
    """Under PYTEST_DISABLE_PLUGIN_AUTOLOAD our plugins are named."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plan = make_plan(["local"], retries=retries)
    (environment,) = plan.environments
    command = plan.job(environment, RunDir.create(bare.root / ".envmatrix/runs", plan.labels)).command
    assert [command[place + 1] for place, word in enumerate(command) if word == "-p"] == plugins


def test_the_deadline_is_the_projects_unless_given() -> None:
    """Seconds."""
    assert make_plan([]).deadline == 1800
    assert make_plan([], deadline=7).deadline == 7
