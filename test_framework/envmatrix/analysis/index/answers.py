"""Fixtures, requests for them, and the answers to these requests."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from envmatrix.analysis.source.facts import Fact, Function

How: TypeAlias = Literal["argument", "usefixtures", "autouse", "getfixturevalue"]


Outdated: TypeAlias = Literal["mark", "method", "yield"]


class Need(Fact, frozen=True):
    """A request for a fixture in a function; the name is empty where it is computed."""

    name: str
    how: How
    line: int
    column: int
    is_certain: bool = True
    """False where it may not be asked for, or its absence is caught."""


class Fixture(Fact, frozen=True):
    """A fixture as one file or class provides it; imported elsewhere, it is another one."""

    name: str
    path: str
    """The file that defines it: relative to the tree's root with slashes, absolute where it is installed."""
    line: int
    """Line of `def`, or of the assignment that makes it."""
    column: int
    function: Function | None
    """None where it is made by an unknown call."""
    scope: str
    """`function`, `class`, `module`, `package`, `session`; empty where it is computed."""
    is_autouse: bool
    has_params: bool
    holder: str
    """Where it is visible, in pytest's notation: empty for everywhere, a directory, a file, `file::Class`."""
    plugin: str
    """The plugin that provides it, `pytest` for pytest's own; empty for this tree's."""
    is_certain: bool
    """False where it may not exist: under `if`, in `try`, in a class that a plugin may register."""
    needs: tuple[Need, ...] = ()
    """Its own requests."""
    doubt: str = ""
    """An unreadable decorator that may supply its arguments; empty for none."""
    loop_scope: str | None = None
    """The scope of its event loop, empty for the default; None where pytest-asyncio did not make it."""
    outdated: tuple[Outdated, ...] = ()
    """Ways of writing a fixture that newer versions of pytest warn of, or refuse."""


class Found(msgspec.Struct, frozen=True):
    """The fixture that answers, then those that it overrides, nearest first."""

    fixtures: tuple[Fixture, ...]


class Missing(msgspec.Struct, frozen=True):
    """No fixture of this name is visible."""


class Unknown(msgspec.Struct, frozen=True):
    """The fixture may be provided by code that cannot be read, or is computed."""

    why: str
    absent: tuple[str, ...] = ()
    """Plugins that may provide it, but are not installed here."""


Answer: TypeAlias = Found | Missing | Unknown


class Request(msgspec.Struct, frozen=True):
    """A request of a test, or of a fixture on its behalf, with its answer."""

    name: str
    how: How
    path: str
    line: int
    column: int
    asker: Fixture | None
    """The requesting fixture; None for the test itself, and for `usefixtures`."""
    answer: Answer
