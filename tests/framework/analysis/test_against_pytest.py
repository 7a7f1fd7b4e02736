"""Our index against pytest itself, on trees that hypothesis makes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from envmatrix.analysis.index.build import index_of
from tests.framework.analysis.generated import Files, trees
from tests.framework.analysis.trees import read_once
from tests.oracle.compare import Account, Comparison, Verdict, compare
from tests.oracle.plugin.fixture_oracle import Oracle

TREES = int(os.environ.get("ENVMATRIX_TREES", "30"))
AGREED = {Verdict.AGREE, Verdict.UNKNOWN, Verdict.UNHEARD}


@given(files=trees())
@settings(
    max_examples=TREES,
    deadline=None,
    derandomize=TREES == 30,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_any_tree_is_seen_as_pytest_sees_it(files: Files) -> None:
    """Every test that pytest collects is known, and each of its requests is answered by the same fixture, or nobody."""
    with TemporaryDirectory(prefix="tree-") as directory:
        found = compared(Path(directory).resolve(), files)
    assert not [str(each) for each in found.differences if each.verdict not in AGREED]
    assert not found.only_pytest
    assert not found.only_ours


HOOK = """def pytest_generate_tests(metafunc):
    if "a" in metafunc.fixturenames:
        metafunc.parametrize("a", [1])
"""
ONCE = {
    "marks of outer classes": {
        "test_a": "@pytest.mark.usefixtures('gone')\nclass TestA:\n    class TestB:\n        def test_i(self): ...\n"
    },
    "parametrized outer classes": {
        "test_a": "@pytest.mark.parametrize('x', [1])\nclass TestA:\n    class TestB:\n        def test_i(self, x): ...\n"
    },
    "a hook for usefixtures": {"test_a": f"{HOOK}@pytest.mark.usefixtures('a')\ndef test_i(): ...\n"},
    "a hook before a fixture": {"test_a": f"{HOOK}@pytest.fixture\ndef a(gone): ...\ndef test_i(a): ...\n"},
    "a hook and unittest": {
        "test_a": f"import unittest\n{HOOK}class TestA(unittest.TestCase):\n"
        "    @pytest.fixture(autouse=True)\n    def it(self, a): ...\n    def test_i(self): ...\n"
    },
    "a mark that names what is missing, beside a decorator of one's own": {
        "test_a": "def own(function):\n    return function\n@own\n@pytest.mark.usefixtures('gone')\ndef test_i(): ...\n"
    },
    "an alias of what is bound again": {
        "test_a": "@pytest.fixture(name='d')\ndef c(): ...\nb = c\n@pytest.fixture\ndef c(): ...\ndef test_i(b): ...\n"
    },
    "an alias of what is gone": {"test_a": "@pytest.fixture\ndef c(): ...\nb = c\nc = None\ndef test_i(b): ...\n"},
    "a class in a plugin": {
        "conftest": "pytest_plugins = 'plug'\n",
        "plug": "class TestP:\n    @pytest.fixture\n    def gone(self): ...\n",
        "test_a": "def test_i(gone): ...\n",
    },
    "a mark that is not called": {"test_a": "pytestmark = pytest.mark.skip\ndef test_i(gone): ...\n"},
    "a package hides its base": {"test_a": "def test_i(gone): ...\n", "__init__": "", "gone": "gone = 1\n"},
    "made by a call and imported": {
        "helper": "def _made(): ...\nmade = pytest.fixture()(_made)\n",
        "conftest": "from helper import made\n",
        "test_a": "def test_i(made): ...\n",
    },
    "a function that makes fixtures": {
        "helper": "def fixture(function):\n    return pytest.fixture(function)\n",
        "conftest": "from helper import fixture\n@fixture\ndef it(): ...\n",
        "test_a": "def test_i(it, gone): ...\n",
    },
    "a partial that makes fixtures": {
        "helper": "import functools\nsession = functools.partial(pytest.fixture, scope='session')\n",
        "conftest": "from helper import session\n@session()\ndef it(): ...\n",
        "test_a": "def test_i(it, gone): ...\n",
    },
    "a plugin of pytest's own": {
        "conftest": "pytest_plugins = 'pytester'\n",
        "test_a": "def test_i(pytester, gone): ...\n",
    },
}
"""Trees on which the index and pytest did not agree, once."""


@pytest.mark.parametrize("files", ONCE.values(), ids=ONCE)
def test_what_once_differed_is_seen_as_pytest_sees_it(files: Files, tmp_path: Path) -> None:
    """The smallest trees that hypothesis, or a large suite, brought up."""
    found = compared_modules(tmp_path.resolve(), files)
    assert found.tests
    assert [str(each) for each in found.differences] == []


def test_a_test_case_is_seen_through_a_file_that_does_not_say_so(tmp_path: Path) -> None:
    """Its file has no word of pytest's or unittest's, and is skimmed; its base in a third file tells."""
    files = {
        "pytest.ini": "[pytest]\naddopts = --disable-plugin-autoload\n",
        "cases.py": "import unittest\nclass Base(unittest.TestCase):\n    def test_i(self): ...\n",
        "middle.py": "import cases\nclass Mid(cases.Base): ...\nclass Checks(Mid, object): ...\n",
        "test_a.py": "from middle import Checks\n",
    }
    found = compared(tmp_path.resolve(), files)
    assert (found.tests, found.only_pytest, found.only_ours) == (1, [], [])


UNTOLD = {
    "made by a call that is not read": {
        "helper": "def make():\n    made = pytest.fixture()\n    return made(lambda: 1)\nthing = make()\n",
        "conftest": "from helper import thing\n",
        "test_a": "def test_i(thing): ...\n",
    },
    "an unreadable decorator": {
        "helper": "def keep(maker):\n    return lambda function: maker(function)\nfixture = keep(pytest.fixture)\n",
        "conftest": "from helper import fixture\n@fixture\ndef it(): ...\nclass Base:\n    @fixture\n    def inner(self): ...\n",
        "test_a": "import conftest\nclass TestA(conftest.Base):\n    def test_i(self, it, inner): ...\n",
    },
    "a decorator that names it": {
        "conftest": "def keep(name):\n    make = pytest.fixture(name=name)\n    return lambda function: make(function)\n"
        "@keep(name='it')\ndef _it(): ...\n",
        "test_a": "def test_i(it): ...\n",
    },
    "a decorator that is given its name": {
        "conftest": "def keep(name):\n    make = pytest.fixture(name=name)\n    return lambda function: make(function)\n"
        "@keep('it')\ndef _it(): ...\n",
        "test_a": "def test_i(it): ...\n",
    },
    "a plugin that is an object": {
        "conftest": "class P:\n    @pytest.fixture\n    def it(self): ...\n"
        "def pytest_configure(config):\n    config.pluginmanager.register(P())\n",
        "test_a": "def test_i(it): ...\n",
    },
    "an unreadable decorator in a plugin": {
        "conftest": "pytest_plugins = 'plug'\n",
        "plug": "def keep(function):\n    return [pytest.fixture(function)][0]\n@keep\ndef it(): ...\n",
        "test_a": "def test_i(it): ...\n",
    },
}
"""Trees whose source does not tell all, and of which no answer may contradict pytest's."""


@pytest.mark.parametrize("files", UNTOLD.values(), ids=UNTOLD)
def test_what_the_source_does_not_tell_is_never_missing(files: Files, tmp_path: Path) -> None:
    """Pytest finds the fixture; the index finds it too, or gives the reason why it cannot tell."""
    found = compared_modules(tmp_path.resolve(), files)
    assert found.tests
    assert not found.missing
    assert {each.verdict for each in found.differences} <= {Verdict.UNKNOWN}, [*map(str, found.differences)]


def compared_modules(root: Path, modules: Files) -> Comparison:
    """Compare on modules by their names, which find each other and import pytest."""
    ini = "[pytest]\naddopts = --disable-plugin-autoload\npythonpath = .\n"
    written = {f"{name}.py": f"import pytest\n{text}" for name, text in modules.items()}
    return compared(root, {"pytest.ini": ini, **written})


def compared(root: Path, files: Files) -> Comparison:
    """Write a tree, have pytest collect it in this process, and compare."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    record = root / "record.jsonl"
    with _untouched(), redirect_stdout(StringIO()) as said, redirect_stderr(said):
        # No bytecode: a file of the same size written in the same second would be taken for the one before.
        sys.dont_write_bytecode = True
        pytest.main(
            ["--collect-only", "-qq", f"--rootdir={root}", f"-c{root}/pytest.ini", "-pno:cacheprovider", "-pno:warnings",
             "-pno:faulthandler", "-pno:capture", "-pno:logging", "--continue-on-collection-errors", "--assert=plain", str(root)],
            plugins=[_Plugin(record)],
        )  # fmt: skip
    if not record.exists():
        raise AssertionError(said.getvalue())
    return compare(Account.read(record), index_of(root, load_modules=read_once))


class _Plugin:
    def __init__(self, record: Path) -> None:
        self.record = record

    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(Oracle(config, self.record), "oracle")


@contextmanager
def _untouched() -> Iterator[None]:
    """Give this process back the modules and the places to import from that it had."""
    modules, path, hooks, bytecode = dict(sys.modules), [*sys.path], [*sys.meta_path], sys.dont_write_bytecode
    try:
        yield
    finally:
        sys.modules.clear()
        sys.modules.update(modules)
        sys.path[:], sys.meta_path[:], sys.dont_write_bytecode = path, hooks, bytecode
