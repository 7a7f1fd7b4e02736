"""Which functions differ, and who uses them."""

from __future__ import annotations

import pytest

from test_framework.analysis.impact.parts import compare, version

BASE = b"""
import pytest
LIMIT = 3

def ask(n):
    return n

def twice(n):
    return ask(ask(n))

@pytest.fixture(name="db", autouse=True)
def make_db():
    return twice(1)

class TestIt:
    def test_a(self):
        assert ask(1)

    def test_b(self):
        assert LIMIT
"""


def test_layout_and_comments_are_no_difference() -> None:
    """Another layout and a comment leave every function as it was."""
    assert compare(BASE, b"# why\n" + BASE.replace(b"return n\n", b"return (\n        n\n    )  # n\n")).nothing


@pytest.mark.parametrize(
    ("old", "new", "changed", "removed", "rest"),
    [
        (b"return n\n", b"return -n\n", {"ask"}, set(), False),
        (b"assert LIMIT", b"assert not LIMIT", {"TestIt.test_b"}, set(), False),
        (b"LIMIT = 3", b"LIMIT = 4", set(), set(), True),
        (b"class TestIt:", b"class TestIt(Base):", set(), set(), True),
        (b"def twice", b"def thrice", {"thrice"}, {"twice"}, False),
    ],
)
def test_what_differs_is_told_apart(old: bytes, new: bytes, changed: set[str], removed: set[str], rest: bool) -> None:
    """Functions differ each by itself; imports, values and a class's bases are the rest."""
    parts = compare(BASE, BASE.replace(old, new))
    assert (parts.changed, parts.removed, parts.rest) == (changed, removed, rest)


def test_what_cannot_be_read_differs_as_a_whole() -> None:
    """Broken source and newer syntax are the rest, never nothing."""
    assert compare(BASE, BASE + b"def (").rest
    assert compare(b"\x00", BASE).rest


def test_users_are_found_through_others() -> None:
    """A helper's users are those of its users too."""
    users = version(BASE).users_of({"ask"})
    assert users.names == {"ask", "twice", "make_db", "TestIt.test_a"}
    assert not users.rest


def test_a_method_is_used_by_whoever_uses_its_class() -> None:
    """A handler's `do_GET` is called by the library that is given the class."""
    read = version(b"class Handler:\n    def do_GET(self): ...\n\ndef test_it():\n    serve(Handler)\n")
    assert read.users_of({"Handler.do_GET"}).names == {"Handler.do_GET", "test_it"}


@pytest.mark.parametrize("name", ["pytest_configure", "setup_module", "C.__init__", "C.setUp", "C.teardown_method"])
def test_what_is_called_without_being_named_concerns_the_whole_file(name: str) -> None:
    """Hooks and set-ups are nobody's by name."""
    assert version(BASE).users_of({name}).rest


def test_a_fixtures_name_and_autouse_are_read() -> None:
    """By what it answers to, and whether it is asked."""
    part = version(BASE).parts["make_db"]
    assert part.provides == ("db", True)
    assert not part.is_registered


def test_a_function_that_a_decorator_hands_on_is_registered() -> None:
    """Somebody else may call it; marks and properties call nobody."""
    read = version(b"@app.get('/')\ndef a(): ...\n@pytest.mark.slow\ndef b(): ...\n@property\ndef c(): ...\n")
    assert [name for name, part in read.parts.items() if part.is_registered] == ["a"]


def test_a_line_is_in_a_function_from_its_first_decorator() -> None:
    """So that a file named in a parametrization is that test's."""
    read = version(BASE)
    assert [part.name if (part := read.at(line)) else None for line in (3, 11, 13, 17)] == [
        None,
        "make_db",
        "make_db",
        "TestIt.test_a",
    ]
