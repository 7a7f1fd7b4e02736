"""Splits pytest's node ids: `tests/test_a.py::TestA::test_b[case-1]` is a file, a name and parameters.

A bracket belongs to the parameters only after the file: a directory's name may hold one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

_MOST = 4096
_NUMBER = re.compile(r"#\d+$")
"""What tells a test from others of the same node id: `login#2`."""


class NodeId(NamedTuple):
    """The parts of a node id."""

    file: str
    name: str
    """Classes and function, without parameters: `TestA::test_b`. Empty for a whole file."""
    parameters: str
    """What stands between the brackets: `case-1`."""


def split(test: str) -> NodeId:
    """Return the parts of a node id."""
    file, _, rest = without_number(test).partition("::")
    name, _, parameters = rest.partition("[")
    return NodeId(file, name, parameters.removesuffix("]"))


def file_of(test: str) -> str:
    """Return the file of a node id."""
    return test.partition("::")[0]


def function_of(test: str) -> str:
    """Return a node id without its parameters."""
    file, separator, rest = without_number(test).partition("::")
    return f"{file}{separator}{rest.partition('[')[0]}"


def distinct(tests: Iterable[str]) -> tuple[str, ...]:
    """Return node ids with a number behind each that equals an earlier one: `login`, `login#2`. Endless ones are cut."""
    tests = tuple(map(_bounded, tests))
    taken = set(tests)
    if len(taken) == len(tests):
        return tests
    seen: dict[str, int] = {}
    names = []
    for test in tests:
        number = seen[test] = seen.get(test, 0) + 1
        name = test
        while number > 1 and (name := f"{test}#{number}") in taken:
            number += 1
        seen[test] = number
        taken.add(name)
        names.append(name)
    return tuple(names)


def _bounded(test: str) -> str:
    """Return a node id of at most 4,096 characters: a parameter's text may have millions, and a header names all tests."""
    if len(test) <= _MOST:
        return test
    digest = f"…{hashlib.sha256(test.encode(errors='surrogatepass')).hexdigest()[:8]}"
    return test[: _MOST - len(digest)] + digest


def without_number(test: str) -> str:
    """Return a test's name as pytest's node id, which others may have too."""
    return _NUMBER.sub("", test)
