"""Fixtures, and what answers each request for one: the words in which the fixture index speaks."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from envmatrix.analysis.source.facts import Fact, Function

How: TypeAlias = Literal["argument", "usefixtures", "autouse", "getfixturevalue"]


class Need(Fact, frozen=True):
    """A place in a function that asks for a fixture; the name is empty where it is computed."""

    name: str
    how: How
    line: int
    column: int


class Fixture(Fact, frozen=True):
    """One definition of a fixture, as one place provides it: imported elsewhere, it is another provider."""

    name: str
    path: str
    """The file that defines it: relative to the tree's root with slashes, absolute where it is installed."""
    line: int
    """Of `def`, or of the assignment that makes it."""
    column: int
    function: Function | None
    """None where it could not be followed: made by a call that we do not know."""
    scope: str
    """`function`, `class`, `module`, `package`, `session`; empty where it is computed."""
    is_autouse: bool
    has_params: bool
    holder: str
    """From where it can be seen, as pytest writes it: empty for everywhere, a directory, a file, `file::Class`."""
    plugin: str
    """The plugin that brings it, `pytest` for pytest's own; empty for what this tree defines."""
    is_certain: bool
    """False where it may not come to be: under `if`, in `try`, in a class that a plugin may register."""
    needs: tuple[Need, ...] = ()
    """What it asks for itself."""
    doubt: str = ""
    """A decorator that may supply what it asks for, and cannot be read."""


class Found(msgspec.Struct, frozen=True):
    """The fixture that answers, then those of the same name that it overrides, nearest first."""

    fixtures: tuple[Fixture, ...]


class Missing(msgspec.Struct, frozen=True):
    """Nobody that can be seen from there provides it."""


class Unknown(msgspec.Struct, frozen=True):
    """It may be provided: by what cannot be read, or is computed."""

    why: str


Answer: TypeAlias = Found | Missing | Unknown


class Request(msgspec.Struct, frozen=True):
    """A test, or a fixture on its behalf, asks for a fixture."""

    name: str
    how: How
    path: str
    line: int
    column: int
    asker: Fixture | None
    """The fixture that asks; None for the test itself, and for `usefixtures`."""
    answer: Answer
