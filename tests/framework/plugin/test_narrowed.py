"""What narrows a run, told apart from what the project's own settings say."""

import shlex

import pytest

from envmatrix.plugin.narrowed import narrowed
from tests.framework.bare import LEFT_OUT


@pytest.fixture(autouse=True)
def tree(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project with two directories of tests."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for name in ("tests", "tests/unit", "more"):
        pytester.mkdir(name)
    pytester.makefile(".ini", other="[pytest]\n")
    pytester.makepyfile(finds_cases="def pytest_collect_file(file_path): ...", changes_nothing="")
    pytester.syspathinsert()


def found(pytester: pytest.Pytester, *args: str, suites: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What narrows a run with these arguments."""
    return narrowed(pytester.parseconfig(*LEFT_OUT, *args), pytester.path, suites)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("-k login", ["-k login"]),
        ("-m 'not slow'", ["-m 'not slow'"]),
        ("tests/unit", ["tests/unit"]),
        ("tests/unit/test_a.py::test_b more", ["tests/unit/test_a.py::test_b", "more"]),
        ("tests", ["tests"]),
        ("--deselect=a::b --deselect c", ["--deselect=a::b", "--deselect=c"]),
        ("--ignore=more --ignore-glob=*.x", ["--ignore=more", "'--ignore-glob=*.x'"]),
        ("--lf", ["--lf"]),
        ("--stepwise", ["--sw"]),
        ("-o python_files=check_*.py", ["-o 'python_files=check_*.py'"]),
        ("-o addopts='-k login'", ["-k login"]),
        ("-o pythonpath=elsewhere", ["-o pythonpath=elsewhere"]),
        ("--setup-only", ["--setup-only"]),
        ("--noconftest", ["--noconftest"]),
        ("--rootdir=.", []),
        ("--rootdir=..", [".", "--rootdir .."]),
        ("-c other.ini", ["-c other.ini"]),
        ("-p no:unittest", ["-p no:unittest"]),
        ("-p no:finds_cases", ["-p no:finds_cases"]),
        ("tests/unit --deselect=a", ["tests/unit", "--deselect=a"]),
    ],
)
def test_what_leaves_tests_out_is_named(pytester: pytest.Pytester, args: str, words: list[str]) -> None:
    """As it would be written, however it was given."""
    assert found(pytester, *shlex.split(args)) == tuple(words)


@pytest.mark.parametrize(
    "args",
    [
        "",
        "-v -x --tb=short",
        "--ff",
        ".",
        "tests more .",
        "-k ''",
        "-o cache_dir=x",
        "-p no:cacheprovider",
        "-p no:changes_nothing",
    ],
)
def test_what_leaves_nothing_out_is_nothing(pytester: pytest.Pytester, args: str) -> None:
    """Order, output and all that there is."""
    assert found(pytester, *shlex.split(args)) == ()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("more tests", []),
        ("tests", ["tests"]),
        ("tests/unit more", ["tests/unit", "more"]),
        ("-o testpaths='tests more'", []),
    ],
)
def test_a_projects_suites_are_the_whole(pytester: pytest.Pytester, args: str, words: list[str]) -> None:
    """However they are given; a part of one is a part."""
    assert found(pytester, *shlex.split(args), suites=("tests", "more")) == tuple(words)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("", []),
        ("-k login", ["-k login"]),
        ("-m ''", []),
        ("-m fast", ["-m fast"]),
        ("--deselect=b", ["--deselect=b"]),
        ("tests", []),
        ("more", ["more"]),
    ],
)
def test_a_projects_settings_are_its_own(pytester: pytest.Pytester, args: str, words: list[str]) -> None:
    """`addopts` and `testpaths` in its file say what the suite is; the command line, and the variable, narrow it."""
    pytester.makeini("[pytest]\naddopts = -m 'not slow' --deselect a\ntestpaths = tests\nmarkers = slow: x\n")
    assert found(pytester, *shlex.split(args)) == tuple(words)


def test_the_projects_own_settings_may_be_named(pytester: pytest.Pytester) -> None:
    """`-c` with the file that pytest would have found redirects nothing."""
    pytester.makeini("[pytest]\n")
    assert found(pytester, "-c", "tox.ini") == ()


def test_the_variable_is_no_setting_of_the_project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTEST_ADDOPTS narrows as the command line does."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k login")
    assert found(pytester) == ("-k login",)


def test_a_directory_below_is_a_part(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who starts pytest there asks for no more."""
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\n")
    monkeypatch.chdir(pytester.path / "tests")
    assert found(pytester) == ("tests",)
