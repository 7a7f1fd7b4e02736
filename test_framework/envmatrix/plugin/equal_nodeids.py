"""Tests of one node id told apart: the names under which they are recorded, numbered where several would be equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from envmatrix.runs.nodeid import distinct


class TestNames:
    """Names the test of a report; several planned tests may have one node id."""

    __test__ = False

    def __init__(
        self,
        tests: Sequence[str] = (),
        workers: Sequence[object] = (),
        *,
        names: Sequence[str] = (),
        is_controller: bool = False,
    ) -> None:
        """Name the planned tests, given by their node ids.

        Args:
            tests: The planned tests.
            workers: The specifications of those of `--dist=each`, of which each runs every test.
            names: How the tests are called in the suite, where they are a shard of it.
            is_controller: Whether this is xdist's controller.
        """
        self._size = len(tests)
        self._workers = {id(worker): number * self._size for number, worker in enumerate(workers)}
        self._is_controller = is_controller
        tests = [*tests] * max(1, len(workers))
        self.planned = distinct([*names] * max(1, len(workers)) if names else tests)
        renamed = {test for test, name in zip(tests, self.planned, strict=True) if test != name}
        self._positions: dict[str, list[int]] = {}
        """Node id → where its tests stand in the plan, of those that are recorded under another name."""
        for position, test in enumerate(tests if renamed else ()):
            if test in renamed:
                self._positions.setdefault(test, []).append(position)
        self._begun: Counter[str] = Counter()

    def begin(self, test: str) -> str:
        """Return the name of a test that begins; empty where xdist's controller cannot tell which of several it is."""
        if test in self._positions:
            self._begun[test] += 1
        return self.current(test)

    def current(self, test: str) -> str:
        """Return the name of the test of a node id that began last; empty where that cannot be told, as in `begin`."""
        positions = self._positions.get(test)
        if positions is None:
            return test
        return "" if self._is_controller and len(positions) > 1 else self._name(test, positions)

    def of(self, report: pytest.TestReport) -> str:
        """Return the name of a report's test."""
        positions = self._positions.get(report.nodeid)
        if positions is None:
            return report.nodeid
        start = 0
        if self._workers:
            # A worker that takes the place of a crashed one has a new name, and the very same specification.
            node = getattr(report, "node", None)
            start = self._workers.get(id(node.gateway.spec), 0) if node is not None else 0
            positions = [each for each in positions if start <= each < start + self._size]
        index = report.__dict__.get("item_index")  # xdist's; a report of a crash has none
        return self._name(report.nodeid, positions) if index is None else self.planned[start + index]

    def _name(self, test: str, positions: Sequence[int]) -> str:
        return self.planned[positions[min(max(self._begun[test], 1), len(positions)) - 1]]
