"""`--record-contexts`: which test ran which function, on a real run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

import pytest

from envmatrix.runs.contexts import Contexts, read_contexts
from tests.framework.bare import Bare, make_bare

LIBRARY = """
    import functools

    def plain(): return 1

    def outer():
        return (lambda: inner())()

    def inner(): return 2

    @functools.cache
    def kept(): return below()

    def below(): return 3

    def late():
        import loaded
        return loaded.VALUE

    def threaded(): return 4

    def listed(): return [1, 2]

    def decorated(function):
        @functools.wraps(function)
        def wrapper(*args): return function(*args)
        return wrapper

    @decorated
    def wrapped(): return 5

    class Box:
        @property
        def size(self): return 1

        @size.setter
        def size(self, size): ...
    """
SUITE = """
    import subprocess, sys, threading
    import pytest
    import library

    @pytest.fixture(scope="session")
    def wide(): return library.plain()

    @pytest.fixture(scope="session")
    def wider(wide): return wide

    def test_outer(): library.outer()
    def test_first(wide): ...
    def test_second(wide): ...
    def test_asks(request): request.getfixturevalue("wider")
    def test_kept(): library.kept()
    def test_late(): library.late()
    def test_thread():
        thread = threading.Thread(target=library.threaded)
        thread.start()
        thread.join()
    def test_wrapped(): library.wrapped()
    def test_setter(): library.Box().size = 2
    def test_process(): subprocess.run([sys.executable, "-c", ""], timeout=30)
    def test_profiler(): sys.setprofile(None)

    @pytest.mark.parametrize("number", library.listed())
    def test_numbers(number): number == 1 and library.plain()
    """
RAN = {
    "outer": {"test_outer", "outer", "inner"},
    "first": {"test_first", "wide", "plain"},
    "second": {"test_second", "wide", "plain"},
    "asks": {"test_asks", "wide", "wider", "plain"},
    "kept": {"test_kept", "kept", "below"},
    "late": {"test_late", "late", "make"},
    "thread": {"test_thread", "threaded"},
    "numbers": {"test_numbers", "plain"},
    "wrapped": {"test_wrapped", "decorated.<locals>.wrapper", "wrapped"},
    "setter": {"test_setter", "Box.size#2"},
}


# Two real runs, one of them with workers of xdist.
@pytest.fixture(scope="module", params=[(), ("-n", "2")], ids=["one process", "workers"])
def contexts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    """What the tests of the suite ran."""
    bare: Bare = make_bare(tmp_path_factory.mktemp("contexts"))
    bare.write("suite/library.py", LIBRARY)
    bare.write("early.py", "def early(): return 1\n")
    bare.write("suite/defaults.py", "def make_default(): return 1\n\nDEFAULT = make_default()\n")
    bare.write("suite/conftest.py", "import defaults\n")
    bare.write("suite/loaded.py", "def make(): return 1\n\nVALUE = make()\n")
    bare.write("suite/test_it.py", SUITE)
    subprocess.run(["git", "init", "-q"], cwd=bare.root, check=True, timeout=30)
    done = bare.run("run", "local", "--record-contexts", "--", "-p", "early", *request.param)
    assert done.returncode == 0, done.stdout + done.stderr
    return read_contexts(bare.last / "local.jsonl")


def _names(contexts: Contexts, numbers: Iterable[int]) -> set[str]:
    return {each.name for each in contexts.named(numbers)}


def test_each_test_has_the_functions_that_it_ran(contexts: Contexts) -> None:
    """Those of threads, and of the wider fixtures that it asks for, whoever set them up."""
    found = {test.rpartition("::test_")[2]: _names(contexts, ran) for test, ran in contexts.tests.items()}
    assert {test: ran for test, ran in found.items() if test in RAN} == RAN


def test_what_is_not_repeated_is_of_no_test_alone(contexts: Contexts) -> None:
    """What stands below a cache, and what a file may have run that was imported before anything could be seen."""
    shared = _names(contexts, contexts.shared)
    assert shared >= {"kept", "below", "early"}
    assert not {"plain", "inner", "late", "make"} & shared


def test_what_an_import_runs_is_of_the_innermost_file_that_is_imported(contexts: Contexts) -> None:
    """Whether a conftest imports it before any test is there, a test's parameters run it, or a test is the first to import."""
    found = {path: _names(contexts, ran) for path, ran in contexts.files.items()}
    assert found == {
        "suite/defaults.py": {"make_default"},
        "suite/library.py": {"decorated"},
        "suite/loaded.py": {"make"},
        "suite/test_it.py": {"listed"},
    }


def test_a_test_that_ran_something_unseen_is_unknown(contexts: Contexts) -> None:
    """It started a process, or took the profiler away."""
    assert {test.rpartition("::")[2] for test in contexts.unknown} == {"test_process", "test_profiler"}
    assert not set(contexts.unknown) & contexts.tests.keys()
