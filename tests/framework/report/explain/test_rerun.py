"""The command that runs one test again."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from envmatrix.environments import Project
from envmatrix.masking import MASK
from envmatrix.report.explain.rerun import Rerun, Reruns, shell_word
from envmatrix.report.text import inert
from tests.framework.report.samples import HOSTILE
from tests.framework.run_files import write_run

WORDS = (*HOSTILE, "plain", "it's", "a b", "$HOME `id` $(id) !x", '"', "\\", "-", "é", "\x85\xad\xa0", "\udc80\udcff")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one environment and one file of tests."""
    (tmp_path / "a.py").touch()
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/local.toml").touch()
    return Project(root=tmp_path)


def test_it_names_the_environment_and_exactly_the_test(project: Project) -> None:
    """Quoted where a shell would read it otherwise."""
    assert Reruns("local", project).of("a.py::x") == Rerun("envmatrix run local -- a.py::x")
    assert (
        Reruns("local", project).of("a.py::x[it's $5]").command == """envmatrix run local -- 'a.py::x[it'"'"'s $5]'"""
    )


def test_it_gives_the_options_of_the_run(project: Project, tmp_path: Path) -> None:
    """Where declarations and variables came from, and how pytest ran the tests."""
    words = {
        "run_options": ("--environments", "envs", "--env-file", "my env"),
        "pytest_options": ("-m", "slow", "-p", "x"),
    }
    header = replace(write_run(tmp_path / "r.jsonl").header, **words)
    again = Reruns("twin", project, header).of("a.py::x")
    assert again == Rerun("envmatrix run twin --environments envs --env-file 'my env' -- -m slow -p x a.py::x")


def test_a_suite_elsewhere_is_looked_for_there(project: Project, tmp_path: Path) -> None:
    """Its node ids begin in its own directory."""
    (tmp_path / "old").mkdir()
    (tmp_path / "a.py").rename(tmp_path / "old/a.py")
    header = replace(write_run(tmp_path / "r.jsonl", planned=["a.py::x"]).header, directory="old")
    assert Reruns("local", project, header).of("a.py::x") == Rerun("envmatrix run local -- a.py::x")


def test_a_run_under_another_name_is_run_again_under_it(project: Project, tmp_path: Path) -> None:
    """The environment is the declared one, and the options of the run have the rest; a masked secret is told."""
    words = ("--set", f"services.redis.url=redis://:{MASK}@h", "--as", "pr-123")
    header = replace(write_run(tmp_path / "r.jsonl").header, environment="pr-123", base="local", run_options=words)
    command = f"envmatrix run local --set 'services.redis.url=redis://:{MASK}@h' --as pr-123 -- a.py::x"
    remark = "One of the options below holds a secret, which is masked: fill it in."
    assert Reruns("pr-123", project, header).of("a.py::x") == Rerun(command, (remark,))


def test_one_of_several_tests_of_one_name_is_run_with_the_others(project: Project, tmp_path: Path) -> None:
    """The number tells our cells apart; pytest knows none. A name that ends so by itself stays as it is."""
    header = replace(write_run(tmp_path / "r.jsonl").header, planned=("a.py::x", "a.py::x#2", "a.py::y#2"))
    twin = Reruns("local", project, header).of("a.py::x#2")
    assert twin == Rerun("envmatrix run local -- a.py::x", ("Several tests have its name: the command runs them all.",))
    assert Reruns("local", project, header).of("a.py::y#2") == Rerun("envmatrix run local -- 'a.py::y#2'")


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("word", WORDS, ids=range(len(WORDS)))
def test_a_shell_reads_the_very_same_word(word: str) -> None:
    """And it is inert where it is shown: nothing moves a cursor or commands a CI log."""
    quoted = shell_word(word)
    assert inert(quoted) == quoted
    bash = shutil.which("bash")
    assert bash is not None
    said = subprocess.run([bash, "-c", f"printf %s {quoted}"], capture_output=True, check=True, timeout=10).stdout
    assert said == word.encode(errors="surrogateescape")


def test_a_masked_parameter_is_a_name_like_any_other(project: Project) -> None:
    """The stars are the node id that pytest itself knows."""
    again = Reruns("local", project).of(f"a.py::x[{MASK}]")
    assert again == Rerun(f"envmatrix run local -- 'a.py::x[{MASK}]'")


def test_a_name_without_a_file_cannot_be_run(project: Project) -> None:
    """Rather no command than a wrong one: it is what pytest calls a file outside of the project."""
    again = Reruns("local", project).of("::x")
    assert again.command == ""
    assert len(again.remarks) == 1


def test_a_test_of_the_conformance_suite_is_named_by_its_module(project: Project) -> None:
    """By path, pytest would look for the project's settings above our package."""
    again = Reruns("local", project).of("test_tokens.py::test_x[a b]")
    assert shlex.split(again.command)[4:] == ["--pyargs", "envmatrix.conformance.test_tokens::test_x[a b]"]
    assert again.remarks == ()
    assert Reruns("local", project).of("test_tokens.py").command.endswith("--pyargs envmatrix.conformance.test_tokens")


def test_a_projects_own_file_of_that_name_is_its_own(project: Project) -> None:
    """The suite's module is meant only where the project has none."""
    (project.root / "test_tokens.py").touch()
    assert Reruns("local", project).of("test_tokens.py::x").command == "envmatrix run local -- test_tokens.py::x"


def test_what_the_command_needs_and_is_not_here_is_said(project: Project) -> None:
    """A run file from elsewhere is explained here, and run again there."""
    again = Reruns("staging", project).of("b.py::x")
    assert again.command == "envmatrix run staging -- b.py::x"
    assert again.remarks == (
        "There is no b.py here: run the command in that run's project.",
        "There is no staging.toml in environments: add --environments DIR, or run the command in that run's project.",
    )
