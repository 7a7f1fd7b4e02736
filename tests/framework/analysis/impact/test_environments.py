"""What differs in a declaration."""

from __future__ import annotations

import pytest

from envmatrix.analysis.impact.environments import DeclaredEnvironment, compare_declarations
from envmatrix.analysis.impact.needs import Needs

OLD = b"""
description = "here"
[services.backend]
kind = "http"
[services.database]
kind = "postgres"
[users]
login = "/login"
"""


@pytest.mark.parametrize(
    ("old", "new", "services", "whole"),
    [
        (b'"postgres"', b'"redis"', {"database"}, ""),
        (b'"/login"', b'"/in"', set(), "users"),
        (b"[services.database]", b"[services.db]", set(), "services.database, services.db"),
        (b'description = "here"', b'# description\ndescription = "here"', set(), ""),
        (b"[users]", b"[users", set(), "what cannot be read"),
    ],
)
def test_keys_say_which_service_or_that_it_is_all(old: bytes, new: bytes, services: set[str], whole: str) -> None:
    """A service's key is that service's; any other is the environment's, and a comment nobody's."""
    touched = compare_declarations(OLD, OLD.replace(old, new))
    assert (touched.services, touched.whole) == (services, whole)
    assert touched.nothing == (not services and not whole)


def test_a_new_declaration_differs_as_a_whole() -> None:
    """There was nothing to compare with."""
    assert compare_declarations(None, OLD).whole


def test_a_service_stands_on_those_that_it_references() -> None:
    """Directly or not; a circle ends."""
    place = DeclaredEnvironment(
        "local", ("local.toml",), references={"a": frozenset("b"), "b": frozenset("ca"), "d": frozenset()}
    )
    assert place.closure(["a"]) == {"a", "b", "c"}


def test_what_pytest_is_given_is_needed_by_every_test() -> None:
    """Also by one that asks for nothing; what is not behind it is not."""
    place = DeclaredEnvironment("local", (), references={"a": frozenset("b")}, given=frozenset("a"))
    assert Needs().why(place, frozenset("b")) == "and [pytest] gives it to every test"
    assert Needs().why(place, frozenset("c")) == ""
