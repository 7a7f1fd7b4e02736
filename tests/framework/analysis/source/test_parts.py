"""What of a file differs, and what each part of it uses."""

from __future__ import annotations

import pytest

from envmatrix.analysis.impact.changes import compare
from envmatrix.analysis.source.facts import Import
from envmatrix.analysis.source.parts.file_parts import SCRIPT, TOP
from envmatrix.analysis.source.parts.parsing import parse_to_compare

BASE = b"""
import pytest
LIMIT = 3
TABLE = make()

def ask(n):
    return n

@pytest.fixture(name="db", autouse=True)
def make_db():
    return ask(1)

class TestIt:
    limit = 2

    def test_a(self):
        assert ask(1)
"""


def test_layout_and_comments_are_no_difference() -> None:
    """Another layout and a comment leave every part as it was."""
    assert compare(BASE, b"# why\n" + BASE.replace(b"return n\n", b"return (\n        n\n    )  # n\n")).nothing


@pytest.mark.parametrize(
    ("old", "new", "changed", "removed", "rest"),
    [
        (b"return n\n", b"return -n\n", {"ask"}, set(), False),
        (b"assert ask(1)", b"assert ask(2)", {"TestIt.test_a"}, set(), False),
        (b"LIMIT = 3", b"LIMIT = 4", {"LIMIT"}, set(), False),
        (b"TABLE = make()", b"TABLE = make(1)", set(), set(), True),
        (b"    limit = 2", b"    limit = 3", set(), set(), True),
        (b"class TestIt:", b"class TestIt(Base):", set(), set(), True),
        (b"def make_db", b"def make", {"make"}, {"make_db"}, False),
    ],
)
def test_what_differs_is_told_apart(old: bytes, new: bytes, changed: set[str], removed: set[str], rest: bool) -> None:
    """Functions and plain values differ each by itself; imports, calls and a class's bases and fields are the rest."""
    parts = compare(BASE, BASE.replace(old, new))
    assert (parts.changed, parts.removed, parts.rest) == (changed, removed, rest)


def test_what_cannot_be_read_differs_as_a_whole() -> None:
    """Broken source and newer syntax are the rest, never nothing."""
    assert compare(BASE, BASE + b"def (").rest
    assert compare(b"\x00", BASE).rest


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        (b"def f(): return a(b)", True),
        (b"def f(): return x.a", True),
        (b"def f(): return x.y.a", True),
        (b"def f(x): return x.a", False),
        (b"def f(): return getattr(x, 'a')", False),
        (b"def f(n: a): ...", False),
        (b"def f() -> a: ...", False),
        (b"def f():\n    n: a = 1", False),
        (b"def f(n: Annotated[int, a()]): ...", True),
        (b"@app.get('/')\ndef f(n: a): ...", True),
        (b"import pydantic\ndef f(n: a): ...", True),
        (b"def f():\n    from m import a", True),
        (b"def f(a): return a()", False),
        (b"def f():\n    a = 1\n    return a", False),
        (b"def f():\n    global a\n    a = 1", True),
        (b"def f():\n    'a'", False),
        (b"def f(a=a): return a", True),
        (b"def f():\n    return [a for a in x], a", True),
    ],
)
def test_a_part_uses_what_it_names(source: bytes, uses: bool) -> None:
    """By a name, or an attribute of one; its own variables, its docstring, texts and plain annotations are no use.

    An object whose attribute is asked for by a text was handed on by name.
    """
    part = parse_to_compare(source).parts["f"]
    assert (bool({"a"} & part.names) or "a" in {name for before, name in part.attributes if before}) is uses


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        (b"X = a", False),
        (b"X = {'k': a}", False),
        (b"X = a()", True),
        (b"def f(x=a()): ...", True),
        (b"@a\ndef f(): ...", False),
        (b"@a.get('/')\ndef f(): ...", True),
        (b"@pytest.mark.parametrize('x', a)\ndef f(x): ...", False),
        (b"class C:\n    x: int = field(default=a)", False),
        (b"class C:\n    x = a()", True),
        (b"for x in a: ...", True),
    ],
)
def test_importing_a_file_runs_what_calls(source: bytes, runs: bool) -> None:
    """A name that only stands in a table is not run."""
    assert ("a" in parse_to_compare(source).parts[TOP].names) is runs


def test_imports_are_of_the_part_that_they_stand_in() -> None:
    """Those for a type checker are nobody's."""
    read = parse_to_compare(
        b"import a\nif TYPE_CHECKING:\n    import b\ndef f():\n    import c\nif __name__ == '__main__':\n    import d"
    )
    found = {name: [each.what for each in part.imports] for name, part in read.parts.items()}
    assert found == {TOP: [Import("a", "")], "f": [Import("c", "")], SCRIPT: [Import("d", "")]}
    assert [each.what for each in read.typing] == [Import("b", "")]


@pytest.mark.parametrize(
    ("call", "prefix"),
    [
        (b"import_module(name)", None),
        (b"import_module(f'shop.{name}')", "shop."),
        (b"import_module('shop.' + name)", "shop."),
        (b"run([exe, '-m', __package__])", "."),
        (b"list(walk_packages(__path__))", None),
    ],
)
def test_a_module_whose_name_is_put_together_is_noted(call: bytes, prefix: str | None) -> None:
    """By what it begins with; nothing, where that cannot be seen."""
    assert parse_to_compare(b"def f(): " + call).parts["f"].computed == (prefix,)


@pytest.mark.parametrize(
    "name", ["pytest_configure", "setup_module", "setUpModule", "__getattr__", "pytest_plugins", "pytestmark"]
)
def test_what_is_called_without_being_named_is_implicit(name: str) -> None:
    """Hooks and set-ups of a module are nobody's by name."""
    assert parse_to_compare(f"def {name}(): ...".encode()).parts[name].is_implicit
    assert parse_to_compare(f"{name} = 1".encode()).parts[name].is_implicit


def test_a_fixtures_name_and_autouse_are_read() -> None:
    """By what it answers to, and whether it is asked."""
    part = parse_to_compare(BASE).parts["make_db"]
    assert part.provides == ("db", True)
    assert not part.is_registered


def test_a_function_that_a_decorator_hands_on_is_registered() -> None:
    """Somebody else may call it; marks and properties call nobody."""
    read = parse_to_compare(b"@app.get('/')\ndef a(): ...\n@pytest.mark.slow\ndef b(): ...\n@property\ndef c(): ...\n")
    assert [name for name, part in read.parts.items() if part.is_registered] == ["a"]


def test_functions_of_one_name_are_one_part() -> None:
    """A property and its setter, overloads: any of them may count."""
    read = parse_to_compare(
        b"class C:\n    @property\n    def x(self): return a\n\n    @x.setter\n    def x(self, new): b(new)\n"
    )
    assert {"a", "b"} <= read.parts["C.x"].names
    assert len(read.parts["C.x"].spans) == 2


def test_a_line_is_in_the_innermost_part() -> None:
    """From its first decorator on, so that a file named in a parametrization is that test's."""
    read = parse_to_compare(BASE)
    assert [read.at(line).name for line in (2, 3, 9, 10, 13, 17)] == [
        TOP,
        "LIMIT",
        "make_db",
        "make_db",
        "TestIt",
        "TestIt.test_a",
    ]
