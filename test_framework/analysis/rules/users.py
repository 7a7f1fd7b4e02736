"""Which tests reach which definition of a fixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

from test_framework.analysis.answers import Found
from test_framework.analysis.index import Index
from test_framework.analysis.scopes import Test

Place: TypeAlias = tuple[str, int]
"""The file and line of a definition."""


class Users:
    """Knows the tests behind each definition; looks when it is first asked, for that is a walk over all requests."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def of(self, path: str, line: int) -> Sequence[Test]:
        """Return the tests that reach a definition."""
        return tuple(self._tests.get((path, line), {}).values())

    @cached_property
    def _tests(self) -> Mapping[Place, Mapping[str, Test]]:
        found: dict[Place, dict[str, Test]] = {}
        for test in self._index.tests:
            for request in self._index.requests(test):
                if isinstance(request.answer, Found) and request.answer.fixtures:
                    fixture = request.answer.fixtures[0]
                    found.setdefault((fixture.path, fixture.line), {})[test.nodeid] = test
        return found
