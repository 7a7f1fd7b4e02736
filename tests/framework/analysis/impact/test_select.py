"""From a change to tests and environments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from envmatrix.analysis.impact import ChangeKind, DeclaredEnvironment, ServiceCommand
from tests.framework.analysis.impact.small import LOCAL, SHOP, STAGING, names, of, why

ORDERS = "tests/e2e/test_orders.py"
CONFTEST = "tests/conftest.py"
WHOLE_SUITE = {"test_total", "test_login", "test_limit"}
TEST_OF_SETUP = "from shop import setup\n\ndef test_make(): assert setup.make()\n"
EVERYTHING = {"local": WHOLE_SUITE, "staging": WHOLE_SUITE, "": {"test_vat", "test_words", "test_other"}}


def everywhere(*tests: str) -> dict[str, set[str]]:
    """These tests, in both environments."""
    return {"local": set(tests), "staging": set(tests)}


def test_a_services_code_concerns_the_environments_that_start_it() -> None:
    """And there the tests that need it: staging is remote, and none of its tests runs this code."""
    found = of("shop/store.py", ("...", "pass"))
    assert names(found) == {"local": {"test_total"}}
    assert why(found, "test_total") == (
        "save of shop/store.py is changed, used by run of shop/app.py, used by shop/__main__.py, which local.toml "
        "starts as backend, and real_services needs every service"
    )


def test_a_mark_asks_for_its_service_and_what_that_stands_on() -> None:
    """`requires("auth")` is nobody's who needs the backend alone."""
    found = of("login.py", ("import sys", "import os"))
    assert names(found) == {"local": {"test_total", "test_login"}}
    assert why(found, "test_login") == (
        'login.py is changed, which local.toml starts as auth, and requires("auth") needs it'
    )


def test_a_test_is_its_own() -> None:
    """Its neighbours in the file are left alone."""
    found = of(ORDERS, ("assert user", "assert not user"))
    assert names(found) == everywhere("test_total")
    assert why(found, "test_total") == f"test_total of {ORDERS} is changed"


def test_a_helper_concerns_who_uses_it() -> None:
    """Of the tests in its file."""
    found = of(ORDERS, ("return 1", "return 2"))
    assert names(found) == everywhere("test_login")
    assert why(found, "test_login") == f"_ask of {ORDERS} is changed, which it uses"


def test_the_top_of_a_file_concerns_all_its_tests() -> None:
    """Nobody can say who does not use it."""
    assert names(of(ORDERS, ("LIMIT = 3", "LIMIT = made()"))) == everywhere(*WHOLE_SUITE)


def test_a_value_concerns_who_uses_it() -> None:
    """One that runs nothing when it is made."""
    assert names(of(ORDERS, ("LIMIT = 3", "LIMIT = 4"))) == everywhere("test_limit")


def test_a_new_test_is_run() -> None:
    """It has never been."""
    assert names(of(ORDERS, ("LIMIT = 3", "LIMIT = 3\ndef test_new(): ..."))) == everywhere("test_new")


def test_a_deleted_test_selects_nothing() -> None:
    """There is nothing to run, and nothing is unknown."""
    found = of(ORDERS, ("def test_limit(number):\n    assert LIMIT\n", ""))
    assert names(found) == {}
    assert found.everything == ()


def test_a_fixture_concerns_who_reaches_it() -> None:
    """Through other fixtures too; the way is told."""
    found = of("plug.py", ("return {}", "return {1: 2}"))
    assert names(found) == everywhere("test_total")
    assert why(found, "test_total") == "fixture real_services of plug.py is changed, asked for by user"
    assert names(of(CONFTEST, ("return 1", "return 2"))) == everywhere("test_limit")


def test_a_helper_of_a_conftest_concerns_whose_fixture_uses_it() -> None:
    """Not all that the conftest is above."""
    found = of(CONFTEST, ("def tidy(value):\n    return", "def tidy(value):\n    return not"))
    assert names(found) == everywhere("test_total")
    assert why(found, "test_total") == f"tidy of {CONFTEST} is changed, used by user"


def test_a_fixture_that_went_or_came_concerns_who_asks_for_its_name() -> None:
    """Another one answers now, or none does."""
    assert names(of(CONFTEST, ("def number():\n    return 1", "def figure():\n    return 1"))) == everywhere(
        "test_limit"
    )
    shadow = of("tests/e2e/conftest.py", added="import pytest\n@pytest.fixture\ndef number():\n    return 2\n")
    assert names(shadow) == everywhere(*WHOLE_SUITE)


def test_a_fixture_that_becomes_autouse_concerns_all_that_see_it() -> None:
    """They ask for it from now on."""
    found = of(CONFTEST, ("@pytest.fixture\ndef number", "@pytest.fixture(autouse=True)\ndef number"))
    assert names(found) == EVERYTHING


@pytest.mark.parametrize("edit", [("import pytest", "import pytest, sys"), ("def unused", "def pytest_configure")])
def test_what_a_conftest_does_for_all_concerns_all_below_it(edit: tuple[str, str]) -> None:
    """Its hooks and its top."""
    assert names(of(CONFTEST, edit)) == EVERYTHING


def test_code_concerns_the_tests_that_import_it() -> None:
    """Which run in no environment here."""
    found = of("shop/prices.py", ("...", "return 1"))
    assert names(found) == {"": {"test_vat"}}
    assert why(found, "test_vat", "") == "vat of shop/prices.py is changed, which it uses"


def test_data_concerns_who_names_it() -> None:
    """By its name in a test, or by its directory beside one."""
    found = of("tests/unit/words.txt", added="a")
    assert names(found) == {"": {"test_words"}}
    assert why(found, "test_words", "") == "tests/unit/words.txt is new, named in tests/unit/test_words.py"
    assert names(of("tests/unit/data/prices.csv", added="1")) == {"": {"test_vat"}}


def test_documentation_concerns_nothing_unless_a_test_names_it() -> None:
    """And it is said why."""
    found = of("README.md", added="# Shop")
    assert names(found) == {}
    assert found.nothing == ("README.md is new: documentation",)
    files = {**SHOP, "tests/unit/test_docs.py": "def test_docs():\n    assert open('README.md')\n"}
    assert names(of("README.md", added="# Shop", files=files)) == {"": {"test_docs"}}


def test_a_word_of_the_code_is_no_documentation() -> None:
    """What lies among no tests says `docs` of something else."""
    files = {**SHOP, "shop/store.py": "PAGES = 'docs/'\n\ndef save(): ...\n"}
    assert names(of("docs/index.md", added="# Shop", files=files)) == {}


def test_a_module_of_a_package_installs_nothing() -> None:
    """`setup.py` beside an `__init__.py` is a module like others; at the root it says what is installed."""
    files = {**SHOP, "shop/setup.py": "def make(): ...\n", "tests/unit/test_setup.py": TEST_OF_SETUP}
    assert names(of("shop/setup.py", ("...", "return 1"), files=files)) == {"": {"test_make"}}
    assert "it says what is installed" in of("setup.py", added="setup()").everything[0][0]


@pytest.mark.parametrize(
    ("path", "why_all"),
    [
        ("pyproject.toml", "pyproject.toml is new: it configures pytest and names what is installed"),
        ("x.bin", "x.bin is new, and could not be mapped: nothing names it"),
        ("tool.py", "tool.py is new, and could not be mapped: no test and no environment reaches it"),
    ],
)
def test_what_cannot_be_told_apart_concerns_everything(path: str, why_all: str) -> None:
    """What configures all, and what leads nowhere."""
    found = of(path, added="x = 1")
    assert names(found) == EVERYTHING
    assert [", ".join(each) for each in found.everything] == [why_all]


def test_a_function_that_nobody_names_concerns_who_uses_its_file() -> None:
    """It may be used in a way that cannot be seen."""
    found = of(CONFTEST, ("    pass", "    return 3"))
    assert names(found) == EVERYTHING
    assert why(found, "test_vat", "") == (
        f"unused of {CONFTEST} is changed, and no tested code names it, which pytest loads for all tests below it"
    )


def test_comments_concern_nothing() -> None:
    """The same code runs."""
    found = of("shop/store.py", ("...", "...  # later"))
    assert names(found) == {}
    assert found.nothing == ("shop/store.py is changed: only in its layout and comments",)


def test_a_declaration_concerns_its_own_environment() -> None:
    """Its services those that need them; anything else all of it."""
    old = {**SHOP, "environments/staging.toml": "[services.auth]\nkind = 'http'\n[services.backend]\nkind = 'http'\n"}
    found = of("environments/staging.toml", ("[services.auth]\n", "[services.auth]\nurl = 'x'\n"), files=old)
    assert names(found) == {"staging": {"test_total", "test_login"}}
    assert why(found, "test_login", "staging") == (
        'environments/staging.toml is changed in auth, and requires("auth") needs it'
    )
    backend = of("environments/staging.toml", ("[services.backend]\n", "[services.backend]\nurl = 'x'\n"), files=old)
    assert names(backend) == {"staging": {"test_total"}}
    whole = of("environments/staging.toml", ("[services.auth]", "production = true\n[services.auth]"), files=old)
    assert names(whole) == {"staging": WHOLE_SUITE}


def test_an_environment_that_is_no_more_selects_nothing() -> None:
    """No column is left to run."""
    files = {**SHOP, "environments/old.toml": ""}
    found = of("environments/old.toml", deleted=True, files=files)
    assert names(found) == {}
    assert found.nothing == ("environments/old.toml is deleted: no environment is declared there now",)


def test_a_deleted_module_concerns_who_still_imports_it() -> None:
    """By the place where it was."""
    found = of("shop/store.py", deleted=True)
    assert names(found) == {"local": {"test_total"}}
    assert why(found, "test_total").startswith("shop/store.py is deleted, imported by shop/app.py, ")
    assert names(of("shop/prices.py", deleted=True)) == {"": {"test_vat"}}


def test_a_renamed_module_concerns_who_imports_either_name() -> None:
    """Those who follow, and those who were forgotten."""
    assert names(of("shop/shelf.py", was="shop/store.py")) == {"local": {"test_total"}}


def test_a_renamed_test_file_is_run() -> None:
    """Its tests have other ids now."""
    found = of("tests/e2e/test_baskets.py", was=ORDERS)
    assert names(found) == everywhere(*WHOLE_SUITE)


def test_a_deleted_test_file_selects_nothing() -> None:
    """Its tests are gone, and that is said."""
    found = of(ORDERS, deleted=True)
    assert names(found) == {}
    assert found.nothing == (f"{ORDERS} is deleted: its tests are gone",)


def test_a_deleted_conftest_concerns_all_below_it() -> None:
    """Their fixtures are gone."""
    assert names(of(CONFTEST, deleted=True)) == EVERYTHING


def test_a_module_named_in_a_text_is_reached() -> None:
    """`python -m`, `import_module` and `mock.patch` name what they reach."""
    for line in ('run([exe, "-m", "shop"])', "patch('shop.store.save')", 'import_module("shop.store")'):
        files = {**SHOP, "tests/unit/test_run.py": f"def test_run():\n    {line}\n"}
        found = of("shop/store.py", ("...", "pass"), files=files)
        assert "test_run" in names(found)[""], line


def test_a_removed_field_concerns_everything_and_calls_for_a_major_version() -> None:
    """Whoever keeps to the contract as it was may break."""
    files = {**SHOP, "contract.py": "class Services:\n    url: str\n    name: str\n"}
    found = of("contract.py", ("    url: str\n", ""), files=files)
    assert names(found) == EVERYTHING
    assert found.everything[0][0] == "Services.url is removed: what keeps to the contract as it was may break"
    assert found.bump is not None
    assert found.bump.needed == "2.0.0"


def test_an_added_field_concerns_who_asks_for_the_fixture() -> None:
    """A provider has to have it; the version is a minor one."""
    files = {**SHOP, "contract.py": "class Services:\n    url: str\n", "plug.py": "import contract\n" + SHOP["plug.py"]}
    found = of("contract.py", ("    url", "    name: str\n    url"), files=SHOP | files, kinds=[ChangeKind.CONTRACT])
    assert names(found) == everywhere("test_total")
    assert found.bump is not None
    assert found.bump.needed == "1.1.0"


@pytest.mark.parametrize(
    ("kind", "path", "edit"),
    [
        (ChangeKind.FIXTURES, CONFTEST, ("return 1", "return 2")),
        (ChangeKind.CODE, "shop/prices.py", ("...", "return 1")),
    ],
)
def test_one_kind_of_change_leaves_the_others_out(kind: ChangeKind, path: str, edit: tuple[str, str]) -> None:
    """`--changes` looks at that kind alone."""
    assert names(of(path, edit, kinds=[kind]))
    others = [each for each in ChangeKind if each is not kind]
    assert names(of(path, edit, kinds=others)) == {}


def test_without_environments_all_tests_are_run_once() -> None:
    """A project that declares none has tests all the same."""
    assert names(of(ORDERS, ("assert user", "assert not user"), places=[])) == {"": {"test_total"}}


def test_nothing_selected_is_an_empty_column() -> None:
    """An environment of which no test is selected is there, with the number of its tests."""
    found = of("shop/prices.py", ("...", "return 1"))
    assert found.selected[LOCAL.name] == found.selected[STAGING.name] == {}
    assert {name: len(tests) for name, tests in found.tests.items()} == {"local": 3, "staging": 3, "": 3}


def test_a_helper_concerns_who_imports_its_file() -> None:
    """Other files use what a test's file defines."""
    files = {**SHOP, "tests/unit/test_asks.py": "from tests.e2e.test_orders import _ask\n\ndef test_ask(): _ask()\n"}
    assert names(of(ORDERS, ("return 1", "return 2"), files=files)) == {**everywhere("test_login"), "": {"test_ask"}}


def test_a_package_concerns_who_imports_from_it() -> None:
    """Its `__init__.py` is read first, whatever is imported; also by the tests that lie in it."""
    files = {**SHOP, "shop/tests/__init__.py": "", "shop/tests/test_in.py": "def test_in(): ...\n"}
    found = of("shop/__init__.py", added="VERSION = 1", files=files)
    assert names(found)[""] == {"test_vat", "test_in"}


def test_what_a_test_asks_for_at_run_time_may_be_any_fixture() -> None:
    """A name that is computed is nobody's, and everybody's."""
    files = {**SHOP, "tests/unit/test_any.py": "def test_any(request):\n    request.getfixturevalue(name())\n"}
    found = of(CONFTEST, ("return 1", "return 2"), files=files)
    assert names(found) == {**everywhere("test_limit"), "": {"test_any"}}
    assert "what this test asks for cannot be read" in why(found, "test_any", "")


def test_a_declaration_that_cannot_be_read_concerns_its_environment() -> None:
    """Nobody knows what it starts."""
    broken = DeclaredEnvironment("broken", ("environments/broken.toml",), unread="it is no TOML")
    found = of("shop/prices.py", ("...", "return 1"), places=[STAGING, broken])
    assert names(found) == {"broken": WHOLE_SUITE, "": {"test_vat"}}


def test_a_deleted_package_concerns_who_imported_from_it() -> None:
    """What its `__init__.py` did is done no more."""
    assert names(of("shop/__init__.py", deleted=True))[""] == {"test_vat"}


def test_a_service_may_begin_in_a_file_of_fixtures() -> None:
    """It is started all the same."""
    place = replace(LOCAL, starts=(ServiceCommand("backend", (CONFTEST,), "python tests/conftest.py", "local.toml"),))
    assert "test_total" in names(of(CONFTEST, ("    pass", "    return 3"), places=[place]))["local"]


@pytest.mark.parametrize(
    ("mark", "needs"),
    [
        ("@needs_auth", True),  # a variable
        ("@marks.needs_auth", True),  # another file's
        ("@marks.of('auth')", True),  # a function that may make one
        ("@pytest.mark.requires(*NAMES)", True),  # computed
        ("@pytest.mark.requires('database')", False),
        ("@pytest.mark.slow", False),
        ("@plain.decorator", False),  # its file speaks of no mark
    ],
)
def test_a_mark_is_read_wherever_it_is_made(mark: str, needs: bool) -> None:
    """One that cannot be read may require anything."""
    source = (
        f"import pytest, marks, plain\nneeds_auth = pytest.mark.requires('auth')\n\n{mark}\ndef test_marked(): ...\n"
    )
    files = {
        **SHOP,
        "marks.py": "import pytest\nneeds_auth = pytest.mark.requires('auth')\ndef of(name): return pytest.mark.requires(name)\n",
        "plain.py": "def decorator(function): return function\n",
        "tests/e2e/test_marked.py": source,
    }
    found = of("login.py", ("import sys", "import os"), files=files)
    assert ("test_marked" in names(found)["local"]) is needs


HOOKS = {
    "plug.py": """
        import pytest

        def pytest_pycollect_makeitem(collector, name, obj):
            pytest.mark.usefixtures("loop")(obj)

        @pytest.fixture
        def policy():
            return None

        @pytest.fixture
        def runner(policy):
            return policy
        """,
    "tests/conftest.py": """
        import pytest

        @pytest.fixture
        def loop():
            return 1

        @pytest.fixture
        def policy():
            return 2

        @pytest.fixture
        def clean():
            return 3

        @pytest.fixture
        def other():
            return 4
        """,
    "tests/e2e/conftest.py": """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.usefixtures("clean"))
        """,
    "tests/e2e/test_orders.py": "def test_total(): ...",
    "tests/test_words.py": "def test_words(): ...",
}
"""Fixtures that no test asks for: hooks do."""


@pytest.mark.parametrize(
    ("fixture", "tests"),
    [
        ("loop", {"test_total", "test_words"}),  # a plugin asks for it by its name
        ("policy", {"test_total", "test_words"}),  # it takes the place of a plugin's own
        ("clean", {"test_total"}),  # a conftest's hook asks for it by its name
        ("other", set()),
    ],
)
def test_what_a_hook_asks_for_is_used_by_all_tests_that_it_sees(fixture: str, tests: set[str]) -> None:
    """As `anyio_backend` is: the request stands in no test."""
    found = of(CONFTEST, (f"def {fixture}():\n", f"def {fixture}():\n    print()\n"), files=HOOKS)
    assert set().union(*names(found).values()) == tests


def test_a_hook_that_computes_names_may_ask_for_any_fixture() -> None:
    """So may what a test asks for that cannot be read."""
    hook = HOOKS["tests/e2e/conftest.py"].replace('usefixtures("clean")', "usefixtures(NAMES[item.name])")
    found = of(CONFTEST, ("return 4", "return 5"), files=HOOKS | {"tests/e2e/conftest.py": hook})
    assert names(found)["local"] == {"test_total"}
    assert "and what this test asks for cannot be read: a hook of tests/e2e/conftest.py computes it" in why(
        found, "test_total"
    )


def test_a_request_that_a_hook_adds_concerns_all_tests_below_it() -> None:
    """The hook itself is what differs."""
    found = of("tests/e2e/conftest.py", ('"clean"', '"other"'), files=HOOKS)
    assert names(found)["local"] == {"test_total"}
