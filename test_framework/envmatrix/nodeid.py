"""Splits pytest's node ids: `tests/test_a.py::TestA::test_b[case-1]` is a file, a name and parameters.

A bracket belongs to the parameters only after the file: a directory's name may hold one.
"""

from __future__ import annotations

from typing import NamedTuple


class NodeId(NamedTuple):
    """The parts of a node id."""

    file: str
    name: str
    """Classes and function, without parameters: `TestA::test_b`. Empty for a whole file."""
    parameters: str
    """What stands between the brackets: `case-1`."""


def split(test: str) -> NodeId:
    """Return the parts of a node id."""
    file, _, rest = test.partition("::")
    name, _, parameters = rest.partition("[")
    return NodeId(file, name, parameters.removesuffix("]"))


def file_of(test: str) -> str:
    """Return the file of a node id."""
    return test.partition("::")[0]


def function_of(test: str) -> str:
    """Return a node id without its parameters."""
    file, separator, rest = test.partition("::")
    return f"{file}{separator}{rest.partition('[')[0]}"
