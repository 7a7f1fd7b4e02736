"""EM1xx on trees that are read and never run: what is found, what is said of it, and what is rightly not found."""

from pathlib import Path

import pytest

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.survey import Survey
from envmatrix.analysis.audit.rules.visibility import findings
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


def test_a_fixture_that_asks_for_itself_with_nothing_to_override(tmp_path: Path) -> None:
    """It is a cycle of one, which pytest calls recursive."""
    (one,) = found(tmp_path, "EM104", test_a="import pytest\n@pytest.fixture\ndef me(me): ...\ndef test_a(me): ...")
    assert one.message == "fixture asks for itself: 'me' → 'me'"


def test_a_fixture_that_may_override_an_unread_one_is_no_cycle(tmp_path: Path) -> None:
    """A library that is not installed here may provide the one that it asks for."""
    conftest = "import pytest\nfrom elsewhere import *\n@pytest.fixture\ndef me(me): ..."
    assert found(tmp_path, "EM104", a__conftest=conftest, a__test_a="def test_a(me): ...") == []


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
