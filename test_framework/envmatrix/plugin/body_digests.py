"""Digests of tests' bodies, independent of name and place: they tell a renamed test from a new one."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from types import CodeType
from typing import Any

_BYTES = 6
"""Size of a digest: among 10,000 tests two different bodies agree by chance once in six million suites."""


def body_digests(items: Iterable[object]) -> list[str]:
    """Return a digest of each item's body, in their order; empty where an item has no Python function.

    The same for the same source, whatever the test's name, its docstring, its parameters' values and the lines around it.
    Another version of Python or of pytest, which rewrites assertions, compiles to other code: then none is alike.
    """
    known: dict[int, str] = {}
    digests = []
    for item in items:
        function = getattr(item, "function", None)
        key = id(function)  # of what the items keep alive; the cases of a parametrized test share it
        if key not in known:
            known[key] = body_digest(function)
        digests.append(known[key])
    return digests


def body_digest(function: Any) -> str:
    """Return a digest of a function's body in hexadecimal digits; empty if it is no Python function."""
    if hasattr(function, "hypothesis"):  # its wrapper is the same for every test
        function = function.hypothesis.inner_test
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return ""
    docstring = getattr(function, "__doc__", None)
    parts: list[object] = []
    codes = [code]
    for part in codes:  # grows by the functions and classes within
        parts += (part.co_code.hex(), part.co_names, part.co_varnames, part.co_freevars)
        for constant in part.co_consts:
            kind = type(constant)
            if kind is CodeType:
                codes.append(constant)
            elif kind is frozenset:  # its order differs from process to process
                parts.append(sorted(map(repr, constant)))
            elif constant is not docstring:
                parts.append(constant)
    text = repr(parts).replace(f"{code.co_qualname}.<locals>.", "")  # as a class within is called
    return blake2b(text.encode(), digest_size=_BYTES).hexdigest()
