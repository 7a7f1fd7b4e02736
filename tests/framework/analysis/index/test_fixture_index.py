"""Which fixture answers each request, in trees that are read and never run."""

from pathlib import Path
from textwrap import dedent

import pytest

from envmatrix.analysis.index.answers import Found, Missing, Request, Unknown
from envmatrix.analysis.index.build import index_of
from envmatrix.analysis.index.fixture_index import Index
from tests.framework.analysis.trees import read_once


def index(root: Path, **files: str) -> Index:
    """Write files, `a__b` for a/b.py, and index them; of plugins, only pytest's own are there."""
    (root / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload\n")
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return index_of(root, load_modules=read_once)


def requests(found: Index, name: str) -> dict[str, Request]:
    """Return the requests of the one test of this name; of several for one fixture, the test's own."""
    (test,) = [test for test in found.tests if test.nodeid.endswith(name)]
    return {request.name: request for request in reversed(found.requests(test))}


def provider(found: Index, test: str, name: str) -> str:
    """Return where the fixture is defined that answers a request: `file:line`, or the answer's kind."""
    answer = requests(found, test)[name].answer
    if isinstance(answer, Found):
        fixture = answer.fixtures[0]
        return f"{fixture.path}:{fixture.line}"
    return type(answer).__name__


@pytest.mark.fault("malicious-conftest")
def test_nothing_of_the_tree_is_run(tmp_path: Path) -> None:
    """A conftest that would end the process, and a plugin that would delete the tree, are read like any other."""
    found = index(
        tmp_path,
        conftest="import pytest, shutil, pathlib\nshutil.rmtree(pathlib.Path(__file__).parent)\nraise SystemExit(1)\n"
        "pytest_plugins = ['evil']\n@pytest.fixture\ndef here(): ...\n",
        evil="import os, pytest\nos.abort()\n@pytest.fixture\ndef there(): ...\n",
        test_a="def test_it(here, there): ...",
    )
    assert provider(found, "test_it", "here") == "conftest.py:6"
    assert provider(found, "test_it", "there") == "evil.py:4"


def test_the_nearest_of_several_answers_and_gets_the_one_it_overrides(tmp_path: Path) -> None:
    """Class before file before conftest; a fixture that asks for its own name gets the next one out."""
    found = index(
        tmp_path,
        conftest="import pytest\n@pytest.fixture\ndef a(): ...\n",
        sub__conftest="import pytest\n@pytest.fixture\ndef a(a): ...\n",
        sub__test_a="""
            import pytest

            @pytest.fixture
            def a(a): ...

            def test_file(a): ...

            class TestIt:
                @pytest.fixture
                def a(self, a): ...

                def test_class(self, a): ...
        """,
        test_b="def test_top(a): ...",
    )
    assert provider(found, "test_top", "a") == "conftest.py:3"
    assert provider(found, "test_file", "a") == "sub/test_a.py:5"
    assert provider(found, "test_class", "a") == "sub/test_a.py:11"
    (test,) = [test for test in found.tests if test.name == "test_class"]
    chain = [request.answer.fixtures[0].path for request in found.requests(test) if isinstance(request.answer, Found)]
    assert chain == ["sub/test_a.py", "sub/test_a.py", "sub/conftest.py", "conftest.py"]


def test_what_no_conftest_above_provides_is_missing(tmp_path: Path) -> None:
    """The fault that this product grew from: a fixture beside the tests, not above them."""
    found = index(
        tmp_path,
        tests__staging__conftest="import pytest\n@pytest.fixture\ndef real_services(): ...\n",
        tests__e2e__test_a="def test_it(real_services): ...",
    )
    request = requests(found, "test_it")["real_services"]
    assert isinstance(request.answer, Missing)
    assert (request.path, request.line, request.column) == ("tests/e2e/test_a.py", 1, 13)


@pytest.mark.parametrize(
    ("definition", "name"),
    [
        ("@pytest.fixture\ndef f(): ...", "f"),
        ("@pytest.fixture()\ndef f(): ...", "f"),
        ("@pytest.fixture(name='f')\ndef other(): ...", "f"),
        ("@pytest_asyncio.fixture\nasync def f(): ...", "f"),
        ("from pytest import fixture as fx\n@fx\ndef f(): ...", "f"),
        ("import pytest as pt\n@pt.fixture(scope='module')\ndef f(): ...", "f"),
        ("session = functools.partial(pytest.fixture, scope='session')\n@session\ndef f(): ...", "f"),
        ("session = functools.partial(pytest.fixture, scope='session')\n@session(name='f')\ndef g(): ...", "f"),
        ("mark = pytest.fixture(scope='session')\n@mark\ndef f(): ...", "f"),
        ("def make(): ...\nf = pytest.fixture(make)", "f"),
        ("def make(): ...\nf = pytest.fixture(scope='module')(make)", "f"),
        ("f = pytest.fixture(lambda: 1)", "f"),
        ("try:\n    import nothing\nexcept ImportError:\n    @pytest.fixture\n    def f(): ...", "f"),
        ("if sys:\n    @pytest.fixture\n    def f(): ...\nelse:\n    @pytest.fixture\n    def f(): ...", "f"),
        ("from helpers import f", "f"),
        ("from helpers import f as g", "g"),
        ("from helpers import renamed", "known_as"),
        ("from helpers import *", "f"),
        ("from package.init import f", "f"),
        ("pytest_plugins = ['helpers']", "f"),
        ("pytest_plugins = 'helpers'", "f"),
        ("import helpers as h\nf = h.f", "f"),
        ("def pytest_configure(config):\n    import helpers\n    config.pluginmanager.register(helpers)", "f"),
    ],
)
def test_every_way_to_provide_a_fixture_is_seen(tmp_path: Path, definition: str, name: str) -> None:
    """Decorators by any name, calls, imports, stars, packages and plugins."""
    found = index(
        tmp_path,
        conftest=f"import functools, pytest, pytest_asyncio, sys\n{definition}\n",
        helpers="import pytest\n@pytest.fixture\ndef f(): ...\n@pytest.fixture(name='known_as')\ndef renamed(): ...\n",
        package__init="from .inner import *\n",
        package__inner="import pytest\n__all__ = ['f']\n@pytest.fixture\ndef f(): ...\n@pytest.fixture\ndef g(): ...",
        test_a=f"def test_it({name}, nowhere): ...",
    )
    assert isinstance(requests(found, "test_it")[name].answer, Found)
    assert isinstance(requests(found, "test_it")["nowhere"].answer, Missing)


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.parametrize('a', [1])\ndef test_it(a): ...",
        "@pytest.mark.parametrize('a, b', [(1, 2)])\ndef test_it(a, b): ...",
        "@pytest.mark.parametrize(['a', 'b'], [(1, 2)])\ndef test_it(a, b): ...",
        "numbers = pytest.mark.parametrize('a', [1])\n@numbers\ndef test_it(a): ...",
        "NAMES = 'a'\n@pytest.mark.parametrize(NAMES, [1])\ndef test_it(a): ...",
        "pytestmark = pytest.mark.parametrize('a', [1])\ndef test_it(a): ...",
        "@pytest.mark.parametrize('a', [1])\nclass TestIt:\n    def test_it(self, a): ...",
        "class Base:\n    pytestmark = [pytest.mark.parametrize('a', [1])]\nclass TestIt(Base):\n    def test_it(self, a): ...",
        "@mock.patch('os.sep')\ndef test_it(a): ...",
        "@mock.patch.object(os, 'sep')\ndef test_it(a): ...",
        "@patch('os.sep')\n@patch('os.altsep', new=1)\n@patch('os.linesep')\ndef test_it(a, b): ...",
        "@mock.patch('os.sep')\nclass TestIt:\n    def test_it(self, a): ...",
        "@mock.patch('os.sep', new_callable=int)\ndef test_it(a): ...",
        "@given(st.integers())\ndef test_it(a): ...",
        "@settings(max_examples=1)\n@given(a=st.integers())\ndef test_it(a): ...",
        "def pytest_generate_tests(metafunc):\n    metafunc.parametrize('a', [1])\ndef test_it(a): ...",
        "class TestIt(unittest.TestCase):\n    def test_it(self): ...",
        "def test_it(a=1, *b, **c): ...",
        "class TestIt:\n    @staticmethod\n    def test_it(): ...",
    ],
)
def test_arguments_that_others_supply_are_not_asked_for(tmp_path: Path, test: str) -> None:
    """Parametrized, patched, given or with a default: no fixture is missing."""
    imports = "import os, pytest, unittest\nfrom unittest import mock\nfrom unittest.mock import patch\n"
    found = index(tmp_path, test_a=f"{imports}from hypothesis import given, settings, strategies as st\n{test}\n")
    (only,) = found.tests
    assert [request.name for request in found.requests(only) if request.how == "argument"] == []


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ("from nowhere import supply\n@supply\ndef test_it(a): ...", "@supply may supply it"),
        ("from nowhere import Base\nclass TestIt(Base):\n    def test_it(self, a): ...", "Base"),
        ("from nowhere import *\ndef test_it(a): ...", "from nowhere import *"),
        ("def test_it(request):\n    request.getfixturevalue('a' + 'b')", "computed"),
        ("globals()['a'] = 1\ndef test_it(a): ...", "at run time"),
        ("NAMES = compute()\n@pytest.mark.parametrize(NAMES, [1])\ndef test_it(a): ...", "computed names"),
        ("a = make_fixture()\ndef test_it(a): ...", "by a call"),
    ],
)
def test_what_cannot_be_followed_is_unknown_with_its_reason(tmp_path: Path, test: str, why: str) -> None:
    """Not missing: something that was not read may provide it."""
    found = index(tmp_path, test_a=f"import pytest\n{test}\n")
    (only,) = found.tests
    (answer,) = [each.answer for each in found.requests(only) if isinstance(each.answer, Unknown)]
    assert why in answer.why


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("PREFIX + 'it'", Found),
        ("f'{PREFIX}it'", Found),
        ("PREFIX + 'i' + END", Found),
        ("'my_' + 'other'", Missing),
        ("key('it')", Unknown),
        ("f'{PREFIX}{NUMBER}'", Unknown),
        ("f'{PREFIX!r}it'", Unknown),
        ("f'{PREFIX:>4}it'", Unknown),
        ("EITHER + 'it'", Unknown),
        ("ITSELF", Unknown),
    ],
)
def test_a_name_that_literals_make_is_known(tmp_path: Path, pytester: pytest.Pytester, name: str, answer: type) -> None:
    """What pytest finds is never missing, and what the source does not show is unknown."""
    source = f"""
        import pytest
        PREFIX, END, NUMBER, ITSELF = "my_", "t", 1, "my_it"
        if pytest: EITHER = "my_"
        else: EITHER = "your_"
        ITSELF = f"{{ITSELF}}{{ITSELF}}" * 0 + ITSELF
        def key(name): return PREFIX + name
        @pytest.fixture(name={name})
        def it(): return 1
        def test_it(my_it): ...
        """
    found = index(tmp_path, test_a=source)
    (only,) = found.tests
    assert [type(each.answer) for each in found.requests(only)] == [answer]
    if answer is Found:
        pytester.makepyfile(test_a=source)
        pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_text_that_doubles_itself_without_end_is_unknown_at_once(tmp_path: Path) -> None:
    """A name that stands for a text with itself in it is not followed."""
    double = "A = f'{A}{A}{B}'\nB = f'{A}{B}{B}'\n" * 3
    found = index(
        tmp_path, test_a=f"import pytest\n{double}@pytest.fixture(name=A)\ndef a(): ...\ndef test_it(b): ...\n"
    )
    (only,) = found.tests
    assert [type(each.answer) for each in found.requests(only)] == [Unknown]


@pytest.mark.parametrize(
    ("sets", "answer"), [("", Missing), ("inner.__signature__ = inspect.signature(lambda: None)", Unknown)]
)
def test_only_a_wrapper_that_keeps_the_signature_leaves_no_doubt(tmp_path: Path, sets: str, answer: type) -> None:
    """Pytest follows `__wrapped__`, so what such a decorator decorates asks for all of its arguments."""
    found = index(
        tmp_path,
        test_a=f"""
            import inspect
            import functools

            def slow(function):
                @functools.wraps(function)
                def inner(*args, **kwargs):
                    return function(*args, **kwargs)
                {sets}
                return inner

            @slow
            def test_it(a): ...
        """,
    )
    assert isinstance(requests(found, "test_it")["a"].answer, answer)


def test_an_inherited_test_sees_what_its_collector_sees(tmp_path: Path) -> None:
    """A `Test*` class that another file imports is collected there too, with the fixtures of that place."""
    found = index(
        tmp_path,
        one__conftest="import pytest\n@pytest.fixture\ndef a(): ...\n",
        one__test_base="class TestBase:\n    def test_it(self, a): ...\n",
        two__test_other="from one.test_base import TestBase\nclass TestMore(TestBase): ...\n",
    )
    answers = {test.nodeid: type(found.requests(test)[0].answer).__name__ for test in found.tests}
    assert answers == {
        "one/test_base.py::TestBase::test_it": "Found",
        "two/test_other.py::TestBase::test_it": "Missing",
        "two/test_other.py::TestMore::test_it": "Missing",
    }


def test_autouse_and_usefixtures_ask_too(tmp_path: Path) -> None:
    """What an autouse fixture needs breaks every test below it; marks and the ini file ask for fixtures by name."""
    found = index(
        tmp_path,
        conftest="import pytest\n@pytest.fixture(autouse=True)\ndef always(gone): ...\n",
        test_a="import pytest\npytestmark = pytest.mark.usefixtures('b')\n@pytest.mark.usefixtures('c')\ndef test_it(): ...",
    )
    asked = {name: (each.how, type(each.answer).__name__) for name, each in requests(found, "test_it").items()}
    assert asked == {
        "always": ("autouse", "Found"),
        "b": ("usefixtures", "Missing"),
        "c": ("usefixtures", "Missing"),
        "gone": ("argument", "Missing"),
    }


@pytest.mark.parametrize(
    ("mark", "masked"), [("skip", "skip"), ("skipif(True, reason='')", "skipif"), ("xfail", "xfail"), ("slow", "")]
)
def test_a_mark_that_hides_a_missing_fixture_is_named(tmp_path: Path, mark: str, masked: str) -> None:
    """Pytest exits with 0 although the fixture is missing."""
    found = index(tmp_path, test_a=f"import pytest\n@pytest.mark.{mark}\ndef test_it(a): ...")
    (test,) = found.tests
    assert test.masked == masked
    assert isinstance(found.requests(test)[0].answer, Missing)


def test_what_pytest_does_not_collect_asks_for_nothing(tmp_path: Path) -> None:
    """Classes with a constructor, without `__test__`, abstract ones, other names; functions of other names."""
    found = index(
        tmp_path,
        test_a="""
            import abc, dataclasses, pytest

            class TestInit:
                def __init__(self): ...
                def test_it(self, a): ...

            class TestNot:
                __test__ = False
                def test_it(self, a): ...

            class TestAbstract(abc.ABC):
                @abc.abstractmethod
                def do(self): ...
                def test_it(self, a): ...

            @dataclasses.dataclass
            class TestData:
                def test_it(self, a): ...

            class Helper:
                def test_it(self, a): ...

            def helper(a): ...

            @pytest.fixture
            def test_fixture(): ...

            def test_helper(a): ...
            test_helper.__test__ = False
        """,
    )
    assert found.tests == ()


def test_a_file_that_cannot_be_read_leaves_its_names_in_doubt(tmp_path: Path) -> None:
    """A conftest in newer syntax, or broken, is said to be unread; what it may provide is never missing."""
    found = index(tmp_path, conftest="def broken(:\n", test_a="def test_it(a): ...")
    assert found.modules["conftest.py"].unread.line == 1
    assert isinstance(requests(found, "test_it")["a"].answer, Unknown)


@pytest.mark.fault("not-utf8", "binary-toml", "empty-file", "huge-file")
def test_files_that_are_no_source_are_unread_with_the_reason(tmp_path: Path) -> None:
    """Not UTF-8, NUL bytes, nothing at all: each is named, none ends the reading of the others."""
    (tmp_path / "test_latin.py").write_bytes("def test_é(a): ...".encode("latin-1"))
    (tmp_path / "test_binary.py").write_bytes(b"\x00\xff\x7fELF")
    (tmp_path / "test_empty.py").touch()
    (tmp_path / "test_deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    (tmp_path / "test_good.py").write_text("def test_it(a): ...")
    found = index(tmp_path)
    assert [test.nodeid for test in found.tests] == ["test_good.py::test_it"]
    unread = {path for path, module in found.modules.items() if module.unread}
    assert unread == {"test_latin.py", "test_binary.py", "test_deep.py"}


def test_each_project_of_a_tree_has_its_own_modules_and_root(tmp_path: Path) -> None:
    """Two services with a configuration each: a helper finds its neighbour, and a conftest above the inner root is unseen."""
    for service in ("one", "two"):
        (tmp_path / service).mkdir()
        (tmp_path / service / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload\n")
    found = index(
        tmp_path,
        conftest="import pytest\n@pytest.fixture\ndef above(): ...\n",
        one__helpers="from inner import a\n",
        one__inner="import pytest\n@pytest.fixture\ndef a(): ...\n",
        one__conftest="from helpers import a\n",
        one__test_one="def test_one(a, above): ...\n",
        two__helpers="from inner import a\n",
        two__inner="import pytest\n\n@pytest.fixture\ndef a(): ...\n",
        two__conftest="from helpers import a\n",
        two__test_two="def test_two(a): ...\n",
    )
    assert provider(found, "test_one", "a") == "one/inner.py:3"
    assert provider(found, "test_two", "a") == "two/inner.py:4"
    assert provider(found, "test_one", "above") == "Missing"


def test_what_is_installed_inside_of_the_tree_is_not_of_the_tree(tmp_path: Path) -> None:
    """A plugin of the `.venv` in the project is a plugin, not a file of ours with fixtures that nobody uses."""
    site = tmp_path / ".venv/lib/python3.11/site-packages"
    (site / "_pytest").mkdir(parents=True)
    (site / "plug.py").write_text("import pytest\n@pytest.fixture\ndef theirs(): ...\n")
    (tmp_path / "test_a.py").write_text("def test_it(theirs): ...")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload -p plug\n")
    found = index_of(tmp_path)
    assert provider(found, "test_it", "theirs") == f"{site}/plug.py:3"
    assert found.fixtures == ()


def test_a_name_that_a_helper_imports_does_not_hide_those_that_it_defines(tmp_path: Path) -> None:
    """The first is seen at a glance; for the second the file is read after all."""
    found = index(
        tmp_path,
        helpers="import pytest\nfrom elsewhere import other\n@pytest.fixture\ndef made(): ...\n",
        elsewhere="other = 1\n",
        test_a="from helpers import other, made\ndef test_it(made): ...\n",
    )
    assert provider(found, "test_it", "made") == "helpers.py:4"


def test_a_plugin_that_only_names_what_another_module_defines_provides_it(tmp_path: Path) -> None:
    """Its own file need not have the word `fixture`: so is pytest-mock since 3.17."""
    (tmp_path / "plug").mkdir()
    (tmp_path / "plug/__init__.py").write_text("from plug.inner import it as it\n")
    (tmp_path / "plug/inner.py").write_text("import pytest\n@pytest.fixture\ndef it(): ...\n")
    (tmp_path / "test_a.py").write_text("def test_a(it): ...\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload -p plug\n")
    assert provider(index_of(tmp_path, load_modules=read_once), "test_a", "it") == "plug/inner.py:3"
