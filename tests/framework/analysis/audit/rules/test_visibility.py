"""EM1xx on trees that are read and never run: what is found, what is said of it, and what is rightly not found."""

from dataclasses import replace
from pathlib import Path

import pytest

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.survey import Survey
from envmatrix.analysis.audit.rules.visibility import findings
from envmatrix.analysis.index.build import index_of
from tests.framework.analysis.trees import tree

PROVIDER = """
    import pytest

    @pytest.fixture
    def real_services(): return {}
    """


def found(root: Path, code: str, **files: str) -> list[AuditFinding]:
    """Write files, `a__b` for a/b.py, and return what one rule finds."""
    index = tree(root, {f"{name.replace('__', '/')}.py": text for name, text in files.items()})
    return sorted(each for each in findings(index, Survey.of(index)) if each.code == code)


def said(each: AuditFinding) -> str:
    """Return place and message as a linter prints them."""
    return f"{each.path}:{each.line}:{each.column}: {each.message}"


def test_a_fixture_out_of_sight_is_named_with_its_provider(tmp_path: Path) -> None:
    """The story: it is in the conftest of one directory, and asked for in another one."""
    (one,) = found(
        tmp_path,
        "EM101",
        tests__unit__conftest=PROVIDER,
        tests__unit__test_here="def test_here(real_services): ...",
        tests__e2e__test_there="def test_one(real_services): ...\nclass TestIt:\n  def test_two(self): ...",
    )
    assert said(one) == (
        "tests/e2e/test_there.py:1:14: fixture 'real_services' is asked for, and none of that name is in sight"
    )
    assert one.hint == "tests/unit/conftest.py:5 provides it: move it to tests/conftest.py"
    assert one.tests == ("tests/e2e/test_there.py::test_one",)


def test_a_fixture_whose_dependency_is_missing_is_one_finding(tmp_path: Path) -> None:
    """It stands at the fixture's parameter, with every test that it breaks; an autouse one breaks those that ask for nothing."""
    (one,) = found(
        tmp_path,
        "EM101",
        conftest="""
        import pytest
        @pytest.fixture(autouse=True)
        def user(gone): ...
        """,
        test_a="def test_one(user): ...\ndef test_two(): ...",
    )
    assert said(one) == "conftest.py:4:10: fixture 'user' asks for 'gone', and none of that name is in sight"
    assert one.tests == ("test_a.py::test_one", "test_a.py::test_two")


@pytest.mark.parametrize(("second", "masked"), [("@pytest.mark.xfail", "skip, xfail"), ("", "")])
def test_what_hides_it_from_a_run_is_said(tmp_path: Path, second: str, masked: str) -> None:
    """Only where every test that asks is hidden: one that is not would show it."""
    (one,) = found(
        tmp_path,
        "EM101",
        test_a=f"""
        import pytest
        @pytest.fixture
        def user(gone): ...
        @pytest.mark.skip
        def test_one(user): ...
        {second}
        def test_two(user): ...
        """,
    )
    assert one.masked == masked


def test_usefixtures_of_a_class_asks_once(tmp_path: Path) -> None:
    """However many tests it holds for; and so does a setting of pytest, for all files."""
    (one,) = found(
        tmp_path,
        "EM101",
        test_a="""
        import pytest
        @pytest.mark.usefixtures("gone")
        class TestIt:
            def test_one(self): ...
            def test_two(self): ...
        """,
    )
    assert one.message == "usefixtures names 'gone', and none of that name is in sight"
    assert len(one.tests) == 2


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("tmp_pth", "Did you mean 'tmp_path'?"),
        ("quite_else", "Define it in tests/conftest.py, or give it a value with parametrize"),
        ("mocker", "The plugin pytest-mock provides it: install it where the tests run"),
        ("helper", "helpers.py:5 provides it: add `from helpers import helper` to tests/conftest.py"),
        ("inner", "tests/test_a.py:5 provides it: move it out of class TestOther"),
        ("in_conftest", "tests/conftest.py:5 provides it: move it out of class Shared"),
        ("other", "tests/test_b.py:4 provides it: move it to tests/conftest.py"),
    ],
)
def test_the_hint_is_the_one_line_that_mends_it(tmp_path: Path, asked: str, hint: str) -> None:
    """By where the provider is: nowhere, misspelt, in a plugin, in a plain module, in another class, in another file."""
    (one,) = found(
        tmp_path,
        "EM101",
        helpers="""
        import pytest

        @pytest.fixture
        def helper(): ...
        """,
        tests__test_a=f"""
        import pytest
        class TestOther:
            @pytest.fixture
            def inner(self): ...
        def test_it({asked}): ...
        """,
        tests__test_b="""
        import pytest
        @pytest.fixture
        def other(): ...
        """,
        tests__conftest="""
        import pytest
        class Shared:
            @pytest.fixture
            def in_conftest(self): ...
        """,
    )
    assert one.hint == hint


def test_a_wider_fixture_cannot_ask_a_narrower_one(tmp_path: Path) -> None:
    """As pytest refuses it, and also where the narrower one is an override that only some tests see."""
    (one,) = found(
        tmp_path,
        "EM102",
        conftest="""
        import pytest
        @pytest.fixture(scope="session")
        def server(port): ...
        @pytest.fixture(scope="session")
        def port(): ...
        @pytest.fixture
        def client(server): ...
        """,
        a__conftest="import pytest\n@pytest.fixture\ndef port(): ...",
        a__test_a="def test_a(server): ...",
        b__test_b="def test_b(client): ...",
    )
    assert said(one) == "conftest.py:4:12: fixture 'server' of scope session asks for 'port' of scope function"
    assert one.tests == ("a/test_a.py::test_a",)
    assert one.hint == "Narrow 'server' to scope function, or widen 'port' (a/conftest.py:3) to session"


@pytest.mark.parametrize("code", ["EM102", "EM104"])
def test_what_a_decorator_may_supply_is_held_against_nobody(tmp_path: Path, code: str) -> None:
    """A fixture of its argument's name may be there, and never be asked for."""
    conftest = """
        import pytest
        from elsewhere import cluster
        @pytest.fixture
        def port(server): ...
        @pytest.fixture(scope="session")
        {}
        def server(port): ...
        """
    for decorator, count in (("@cluster()", 0), ("", 1)):
        files = {"conftest": conftest.format(decorator), "test_a": "def test_a(server): ..."}
        assert len(found(tmp_path, code, **files)) == count


def test_a_cycle_is_found_and_an_override_that_asks_its_parent_is_none(tmp_path: Path) -> None:
    """A cycle only counts for tests that see all of it."""
    (one,) = found(
        tmp_path,
        "EM104",
        conftest="""
        import pytest
        @pytest.fixture
        def one(two): ...
        @pytest.fixture
        def two(): ...
        @pytest.fixture
        def plain(): ...
        """,
        a__conftest="import pytest\n@pytest.fixture\ndef two(one): ...\n@pytest.fixture\ndef plain(plain): ...",
        a__test_a="def test_a(one): ...\ndef test_plain(plain): ...",
        b__test_b="def test_b(one): ...",
    )
    assert said(one) == "a/conftest.py:3:1: fixtures ask for each other: 'two' → 'one' → 'two'"
    assert one.tests == ("a/test_a.py::test_a",)


@pytest.mark.parametrize(
    "body",
    [
        "if config:\n        get('gone')",
        "get('gone') if config else None",
        "try:\n        get('gone')\n    except pytest.FixtureLookupError:\n        pass",
        "with pytest.raises(pytest.FixtureLookupError):\n        get('gone')",
        "with contextlib.suppress(LookupError):\n        get('gone')",
        "if not config:\n        return\n    get('gone')",
        "if not config:\n        pytest.skip()\n    get('gone')",
        "(get('gone') for _ in ())",
        "config and get('gone')",
        "def inner():\n        get('gone')",
    ],
)
def test_a_fixture_that_is_asked_for_under_a_condition_is_unknown(pytester: pytest.Pytester, body: str) -> None:
    """Pytest passes all of these: nobody may come there, or the error is caught; elsewhere it is missing."""
    test = f"import contextlib, pytest\nconfig = None\ndef test_a(request):\n    {body}\n"
    test = test.replace("get(", "request.getfixturevalue(")
    (unknown,) = found(pytester.path, "EM108", test_a=test)
    assert not pytester.runpytest().parseoutcomes().keys() & {"failed", "errors"}
    assert unknown.hint == "The reason: it is asked for under a condition, or where an error is caught"
    assert not found(pytester.path, "EM101", test_a=test)
    certain = (
        test.partition("    ")[0] + "    try:\n        request.getfixturevalue('gone')\n    finally:\n        pass"
    )
    assert found(pytester.path, "EM101", test_a=certain)


CIRCLES = {
    "an autouse override that leads to its own name": (
        "@pytest.fixture\ndef user(): ...\n@pytest.fixture\ndef client(user): ...\n",
        "@pytest.fixture(autouse=True)\ndef user(client): ...\ndef test_a(client): ...\n",
    ),
    "the same, asked for the other way round": (
        "@pytest.fixture\ndef user(): ...\n@pytest.fixture\ndef client(user): ...\n",
        "@pytest.fixture\ndef user(client): ...\ndef test_a(client): ...\ndef test_b(user): ...\ndef test_c(user, client): ...\n",
    ),
    "one that is set up first, for its scope": (
        "@pytest.fixture(scope='session')\ndef user(): ...\n@pytest.fixture(scope='session')\ndef client(user): ...\n",
        "@pytest.fixture(scope='module')\ndef client(client): ...\n@pytest.fixture\ndef user(client): ...\ndef test_a(user): ...\n",
    ),
}


@pytest.mark.parametrize(("conftest", "test"), CIRCLES.values(), ids=CIRCLES)
def test_a_circle_holds_for_the_tests_that_fail_by_it(conftest: str, test: str, pytester: pytest.Pytester) -> None:
    """An override may lead to its own name: where pytest sets it up first, it gets the one that it overrides."""
    files = {"conftest": f"import pytest\n{conftest}", "test_a": f"import pytest\n{test}"}
    circular = {each for one in found(pytester.path, "EM104", **files) for each in one.tests}
    done = pytester.runpytest("-p", "no:randomly", "-rE", "--tb=no")
    failing = {line.split()[1] for line in done.outlines if line.startswith("ERROR ")}
    assert circular == failing


def test_a_fixture_that_asks_for_itself_with_nothing_to_override(tmp_path: Path) -> None:
    """It is a cycle of one, which pytest calls recursive."""
    (one,) = found(tmp_path, "EM104", test_a="import pytest\n@pytest.fixture\ndef me(me): ...\ndef test_a(me): ...")
    assert one.message == "fixture asks for itself: 'me' → 'me'"


def test_a_fixture_that_may_override_an_unread_one_is_no_cycle(tmp_path: Path) -> None:
    """A library that is not installed here may provide the one that it asks for."""
    conftest = "import pytest\nfrom elsewhere import *\n@pytest.fixture\ndef me(me): ..."
    assert found(tmp_path, "EM104", a__conftest=conftest, a__test_a="def test_a(me): ...") == []


LOOPS = {
    "a default loop that is too narrow": (
        "strict",
        "function",
        "@pytest_asyncio.fixture(scope='session')",
        "ScopeMismatch",
    ),
    "the fixture's own loop": ("strict", "fixture-scope", "@pytest_asyncio.fixture(scope='session')", ""),
    "a loop of its own": ("strict", "function", "@pytest_asyncio.fixture(scope='session', loop_scope='session')", ""),
    "a loop of its own that is too narrow": (
        "strict",
        "session",
        "@pytest_asyncio.fixture(scope='module', loop_scope='class')",
        "ScopeMismatch",
    ),
    "any async fixture in the auto mode": ("auto", "function", "@pytest.fixture(scope='session')", "ScopeMismatch"),
    "one that nobody runs": ("strict", "session", "@pytest.fixture(scope='session')", "no plugin or hook"),
}


@pytest.mark.parametrize(("mode", "loop", "decorator", "error"), LOOPS.values(), ids=LOOPS)
def test_an_async_fixture_needs_a_loop_that_lives_as_long(
    pytester: pytest.Pytester, mode: str, loop: str, decorator: str, error: str
) -> None:
    """As pytest-asyncio fails when the fixture is set up: the loop's scope is the decorator's, the setting's or its own."""
    settings = f"asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = {loop}\n"
    pytester.makeini(f"[pytest]\naddopts = --disable-plugin-autoload -p asyncio\n{settings}")
    pytester.makepyfile(
        f"import pytest, pytest_asyncio\n{decorator}\nasync def server(): ...\ndef test_a(server): ...\n"
    )
    done = pytester.runpytest()
    assert error in done.stdout.str()
    done.assert_outcomes(errors=bool(error), passed=not error)
    index = index_of(pytester.path)
    codes = {each.code: each for each in findings(index, Survey.of(index))}
    assert set(codes) == ({"EM102" if error == "ScopeMismatch" else "EM111"} if error else set())
    if "EM102" in codes:
        assert "or give it loop_scope=" in codes["EM102"].hint


def test_anyio_runs_the_async_fixtures_of_the_tests_that_it_marks(pytester: pytest.Pytester) -> None:
    """They ask for its backend, which is what the plugin goes by; others are left alone."""
    pytester.makeini("[pytest]\naddopts = --disable-plugin-autoload -p anyio\n")
    pytester.makepyfile(
        "import pytest\n@pytest.fixture\nasync def server(): ...\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"
        "@pytest.mark.anyio\nasync def test_a(server): ...\ndef test_b(server): ...\n"
    )
    assert pytester.runpytest().parseoutcomes() == {"passed": 1, "errors": 1}
    index = index_of(pytester.path)
    (one,) = findings(index, Survey.of(index))
    assert (one.code, [each.rpartition("::")[2] for each in one.tests]) == ("EM111", ["test_b"])
    assert {request.name for test in index.tests for request in index.requests(test)} == {"anyio_backend", "server"}


OUTDATED = {
    "EM109": ("@pytest.mark.slow\n@pytest.fixture\ndef it(): ...\ndef test_a(it): ...\n", "Marks cannot be applied"),
    "EM110": (
        "class TestA:\n    @pytest.fixture(scope='class')\n    def it(self): ...\n    def test_a(self, it): ...\n",
        "instance methods are deprecated",
    ),
    "EM112": ("@pytest.yield_fixture\ndef it(): ...\ndef test_a(it): ...\n", "yield_fixture is deprecated"),
    "none": (
        "class TestA:\n    @pytest.fixture(scope='class')\n    @classmethod\n    def it(cls): ...\n    def test_a(self, it): ...\n",
        "1 passed",
    ),
}


@pytest.mark.parametrize(("code", "text", "warning"), [(code, *each) for code, each in OUTDATED.items()], ids=OUTDATED)
def test_what_the_running_pytest_warns_of_or_refuses_is_found(
    pytester: pytest.Pytester, code: str, text: str, warning: str
) -> None:
    """Each by a rule of its own, and nothing else."""
    pytester.makeini("[pytest]\naddopts = --disable-plugin-autoload\nmarkers = slow\n")
    pytester.makepyfile(f"import pytest\n{text}")
    assert warning in pytester.runpytest().stdout.str()
    index = index_of(pytester.path)
    assert [each.code for each in findings(index, Survey.of(index))] == ([code] if code != "none" else [])
    older = [replace(project, pytest=(6, 0)) for project in index.projects]
    survey = Survey.of(index)
    index.projects = tuple(older)
    assert not list(findings(index, survey))


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("from lib.testing.fixtures import *", 0),
        ("from lib.testing.fixtures import client", 0),
        ("from helpers import client", 0),
        ("from lib.testing import Base\nclass TestIt(Base): ...", 0),
        ("pytest_plugins = ['lib.testing']", 0),
        ("from lib.testing import Client", 1),
        ("from dataclasses import dataclass", 1),
        ("from helpers import plain", 1),
        ("from whole import *", 1),
    ],
)
def test_what_an_unread_import_may_ask_for_is_not_unused(tmp_path: Path, line: str, count: int) -> None:
    """A fixture or a test class may come from there; a class that nothing inherits, and the standard library, ask nothing."""
    conftest = f"import pytest\n{line}\n@pytest.fixture\ndef port(): ..."
    helpers = "from lib.testing import client\ndef plain(): ..."
    assert (
        len(found(tmp_path, "EM105", conftest=conftest, helpers=helpers, whole="a = 1", test_a="def test_a(): ..."))
        == count
    )


def test_a_fixture_that_nobody_asks_for(tmp_path: Path) -> None:
    """Those of a conftest, a file and a class; not what is used, or autouse."""
    unused = found(
        tmp_path,
        "EM105",
        conftest="""
        import pytest
        @pytest.fixture
        def left_over(): ...
        @pytest.fixture
        def used(): ...
        @pytest.fixture(autouse=True)
        def always(): ...
        """,
        test_a="""
        import pytest
        @pytest.fixture
        def also_left(): ...
        class TestIt:
            @pytest.fixture
            def within(self): ...
            def test_a(self, used): ...
        """,
    )
    assert [each.message for each in unused] == [
        "fixture 'left_over' is never asked for",
        "fixture 'also_left' is never asked for",
        "fixture 'within' is never asked for",
    ]


@pytest.mark.parametrize(
    "asks",
    [
        "def test_b(request): request.getfixturevalue(f'left_{1}')",
        "def test_b(request): request.getfixturevalue('left_over')",
        "import pytest\nNAMES = ['x']\n@pytest.mark.usefixtures(*NAMES)\ndef test_b(): ...",
        "from steps import given\n@given('a step')\ndef _(left_over): ...\ndef test_b(): ...",
        "CASES = ['left_over']\ndef test_b(): ...",
        "def test_b(: ...",
    ],
)
def test_what_may_still_ask_keeps_a_fixture(tmp_path: Path, asks: str) -> None:
    """A computed name, its name in any other place, or a file that cannot be read: then nobody can say."""
    assert not found(
        tmp_path,
        "EM105",
        conftest="import pytest\n@pytest.fixture\ndef left_over(): ...",
        test_a="def test_a(): ...",
        test_b=asks,
    )


def test_what_is_missing_elsewhere_is_not_unused(tmp_path: Path) -> None:
    """Somebody asks for it, out of its sight: it is to be moved, not removed."""
    files = {"one__conftest": "import pytest\n@pytest.fixture\ndef lost(): ...", "one__test_a": "def test_a(): ..."}
    assert found(tmp_path, "EM105", **files)
    files["two__test_b"] = "def test_b(lost): ..."
    assert not found(tmp_path, "EM105", **files)
    assert found(tmp_path, "EM101", **files)


def test_an_override_of_what_a_plugin_asks_for_is_used(tmp_path: Path) -> None:
    """A plugin provides it to be overridden, whoever asks for it then."""
    assert not found(
        tmp_path,
        "EM105",
        conftest="import pytest\n@pytest.fixture\ndef tmp_path_factory(): ...",
        test_a="def test_a(): ...",
    )


def test_an_autouse_fixture_that_starts_the_environment_for_all(tmp_path: Path) -> None:
    """Named with the tests that do not ask for it by themselves; where all do it is no surprise."""
    (one,) = found(
        tmp_path,
        "EM106",
        conftest=PROVIDER
        + """
    @pytest.fixture(autouse=True)
    def logged_in(session): ...
    @pytest.fixture
    def session(real_services): ...
    """,
        test_a="def test_a(real_services): ...\ndef test_b(session): ...\ndef test_c(): ...",
    )
    assert one.message.startswith("autouse fixture 'logged_in' asks for 'real_services'")
    assert one.tests == ("test_a.py::test_c",)


@pytest.mark.fault("not-utf8")
def test_a_file_that_cannot_be_read_is_no_silence(tmp_path: Path) -> None:
    """It is said, with its line, and nothing of it is called missing."""
    broken, latin = found(
        tmp_path, "EM107", test_a="def test_a(gone): ...\ndef test_b(: ...", test_b="NAME = '\udce4'", test_c="\n"
    )
    assert (broken.path, broken.line, latin.path) == ("test_a.py", 2, "test_b.py")


def test_an_unknown_request_is_neither_missing_nor_silent(tmp_path: Path) -> None:
    """With what makes it unknown."""
    (one,) = found(tmp_path, "EM108", test_a="def test_a(request): request.getfixturevalue(request.node.name)")
    assert one.message == "the source does not tell whether a fixture is provided"
    assert one.hint == "The reason: its name is computed"


@pytest.mark.fault("hostile-test-name")
def test_any_text_may_be_asked_for(tmp_path: Path) -> None:
    """A name need not be an identifier, nor have an encoding: it is shown as Python would escape it."""
    (one, two) = found(
        tmp_path,
        "EM101",
        conftest='import pytest\n@pytest.fixture(name="a b(\\udc80")\ndef left(): ...',
        test_a='def test_a(request):\n  request.getfixturevalue("\\n::error::(")\n'
        '  request.getfixturevalue("\\U0000DC80")',
    )
    assert one.message == "getfixturevalue asks for '\\n::error::(', and none of that name is in sight"
    assert two.message == r"getfixturevalue asks for '\\udc80', and none of that name is in sight"


@pytest.mark.parametrize(("count", "findings"), [(100, 100), (101, 1)])
def test_very_many_unknown_requests_for_one_reason_are_one_finding(tmp_path: Path, count: int, findings: int) -> None:
    """It says how many they are, and what would tell."""
    test = "from lib.fixtures import *\n" + "".join(f"def test_{each}(it_{each}): ...\n" for each in range(count))
    said = found(tmp_path, "EM108", test_a=test)
    assert len(said) == findings
    assert len({test for each in said for test in each.tests}) == count
    assert ("or put it on pythonpath" in said[0].hint) == (findings == 1)
