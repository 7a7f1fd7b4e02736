"""Evidence of an earlier run beside the reading of source."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from envmatrix.analysis.impact import Evidence, FileChange, Impact, impact
from envmatrix.analysis.source.parts.parsing import parse_to_compare
from tests.framework.analysis.impact.small import LOCAL, make_tree, names, text, why

FILES = {
    "shop/__init__.py": "",
    "shop/__main__.py": "from shop.app import run\nrun()",
    "shop/app.py": "def run(): ...",
    "shop/store.py": """
        class Store:
            def save(self): return 1
            def load(self, deep=False): return 2
        """,
    "tests/e2e/test_store.py": """
        from shop.store import Store

        def test_save(): Store().save()
        def test_load(): Store().load()
        def test_unseen(): Store()
        """,
}
FILE = "tests/e2e/test_store.py"
TESTS = f"{FILE}::"
STORE = "shop/store.py"


def digest(name: str) -> str:
    """The digest of a method as it is before the change."""
    return parse_to_compare(text(FILES[STORE])).parts[name].digest


def seen(
    shared: tuple[str, ...] = (), digests: Mapping[str, str] | None = None, imported_by: str | None = None
) -> Evidence:
    """What two of three tests were seen to run."""
    ran = {"Store.save": "test_save", "Store.load": "test_load"}
    return Evidence(
        "c0ffee" * 7,
        {TESTS + test: frozenset({(STORE, name), (FILE, test)}) for name, test in ran.items()},
        {(STORE, name): (digests or {}).get(name, digest(name)) for name in ran}
        | {(FILE, test): "" for test in ran.values()},
        {imported_by: frozenset({(STORE, "Store.load")})} if imported_by else {},
        frozenset((STORE, name) for name in shared),
    )


def after(edit: tuple[str, str], evidence: Evidence | None) -> Impact:
    """The impact of a change of the store."""
    old = text(FILES[STORE])
    new = old.decode().replace(*edit)
    change = FileChange(STORE, STORE, old, new.encode())
    tree = make_tree(FILES | {STORE: new})
    return impact([change], tree, [LOCAL], evidence={"local": evidence} if evidence else {})


def test_a_test_that_was_seen_not_to_run_a_function_is_left_out() -> None:
    """Reading alone selects whoever names the class; of a test that was not seen it still decides."""
    edit = "return 1", "return 3"
    assert names(after(edit, None)) == {"local": {"test_save", "test_load", "test_unseen"}}
    found = after(edit, seen())
    assert names(found) == {"local": {"test_save", "test_unseen"}}
    assert why(found, "test_save") == ("Store.save of shop/store.py is changed, which it ran at commit c0ffeec0ffee")
    assert why(found, "test_unseen") == "Store.save of shop/store.py is changed, which it uses"


@pytest.mark.parametrize(
    ("edit", "evidence"),
    [
        (("return 2", "return 4"), seen(shared=("Store.load",))),  # a hook ran it, too
        (("return 2", "return 4"), seen(imported_by=TESTS.removesuffix("::"))),  # whatever imports the file rests on it
        (("return 2", "return 4"), seen(digests={"Store.load": "another"})),  # another one was run
        (("deep=False", "deep=True"), seen()),  # a default is evaluated on import
        (("class Store:", "class Store(Base):"), seen()),  # no function's body
        (("def load", "def loads"), seen()),  # a new one, and one that is gone
    ],
)
def test_reading_decides_where_evidence_cannot(edit: tuple[str, str], evidence: Evidence) -> None:
    """Whatever differs besides the body of a function that ran for single tests."""
    assert names(after(edit, evidence)) == {"local": {"test_save", "test_load", "test_unseen"}}


def test_a_function_that_no_test_ran_selects_no_test_that_was_seen() -> None:
    """Although its file is used by all of them."""
    evidence = Evidence(
        "c0ffee", dict.fromkeys([TESTS + "test_save", TESTS + "test_load", TESTS + "test_unseen"], frozenset())
    )
    found = after(("return 1", "return 3"), evidence)
    assert names(found) == {}
    assert found.everything == ()


def test_a_service_is_followed_whatever_its_users_ran() -> None:
    """It runs in another process, which nobody saw."""
    files = FILES | {
        "tests/e2e/test_service.py": "import pytest\n@pytest.mark.requires('backend')\ndef test_service(): ...\n"
    }
    change = FileChange("shop/app.py", "shop/app.py", b"def run(): ...", b"def run(): return 1")
    evidence = Evidence("c0ffee", {"tests/e2e/test_service.py::test_service": frozenset()})
    found = impact([change], make_tree(files), [LOCAL], evidence={"local": evidence})
    assert names(found) == {"local": {"test_service"}}


DECORATED = """
    def logged(function):
        message = "called"
        def wrapper(*args):
            print(message)
            def inner(): ...
            return function(*args)
        return wrapper

    class Box:
        @property
        def size(self): return 1
        @size.setter
        def size(self, size): pass

    @logged
    def save(): ...
    """


@pytest.mark.parametrize(
    ("edit", "selected"),
    [
        (("print(message)", "print()"), {"test_wrapper", "test_inner"}),  # and whatever is inside of it
        (("def inner(): ...", "def inner(): 1"), {"test_inner"}),
        (('"called"', '"run"'), {"test_wrapper", "test_inner", "test_nothing", "test_setter"}),  # the import ran it
        (
            ("def wrapper(*args):", "def wrapper(*args, deep=1):"),
            {"test_wrapper", "test_inner", "test_nothing", "test_setter"},
        ),
        (("pass", "self.x = 1"), {"test_setter"}),
        (("return 1", "return 2"), set()),
        (("@size.setter", "@size.deleter"), {"test_wrapper", "test_inner", "test_nothing", "test_setter"}),
    ],
)
def test_a_function_inside_of_another_differs_by_itself(edit: tuple[str, str], selected: set[str]) -> None:
    """A decorator runs when a file is imported, what it returns when that is called; a setter is no getter."""
    path, old = "shop/log.py", text(DECORATED)
    ran = {
        "test_wrapper": "logged.<locals>.wrapper",
        "test_inner": "logged.<locals>.wrapper.<locals>.inner",
        "test_setter": "Box.size#2",
        "test_nothing": "save",
    }
    parts = parse_to_compare(old).parts
    evidence = Evidence(
        "c0ffee",
        {f"tests/e2e/test_log.py::{test}": frozenset({(path, name)}) for test, name in ran.items()},
        {(path, name): parts[name.partition(".<")[0].partition("#")[0]].digest for name in ran.values()},
        {path: frozenset({(path, "logged")})},
    )
    new = old.decode().replace(*edit)
    suite = "from shop.log import Box, save\n" + "\n".join(f"def {test}(): save(), Box()" for test in ran)
    tree = make_tree({"shop/__init__.py": "", path: new, "tests/e2e/test_log.py": suite})
    change = FileChange(path, path, old, new.encode())
    assert names(impact([change], tree, [LOCAL], evidence={"local": evidence})).get("local", set()) == selected
