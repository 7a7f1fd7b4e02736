"""Cuts the collected tests into shards, in every process and on every machine alike."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from envmatrix.runs.file import read_durations
from envmatrix.runs.nodeid import distinct
from envmatrix.runs.shards import Shard, cut, cut_digest

_DURATIONS = "envmatrix_durations"
_CHANNEL = "envmatrix_suite"
"""The keys under which the controller gives a worker of xdist, maybe on another machine, what tests took, and a channel:
only workers collect, and by hooks they tell no more than the tests that are left."""

_DEADLINE = 30.0
"""Seconds for what a worker says before it says that its collection is finished."""


class Sharding:
    """Keeps only one shard's tests; knows the whole suite, which the recorder writes down."""

    def __init__(self, shard: Shard, durations: Path | None, workerinput: dict[str, Any] | None) -> None:
        """Read the tests' last durations; a worker of xdist gets them from the controller.

        Raises:
            RunFileError: the file is no run file.
        """
        self.shard = shard
        self.suite: tuple[str, ...] = ()
        """The collected tests, before the cut; those of one node id are numbered."""
        self.kept: tuple[int, ...] = ()
        """The places in the suite of those that are left."""
        self.cut_digest = ""
        self._channel: Any = None
        if workerinput is None:
            self._durations = read_durations(durations) if durations else {}
        else:
            self._durations, self._channel = workerinput.pop(_DURATIONS), workerinput.pop(_CHANNEL)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Cut after all other plugins have selected and ordered."""
        yield
        self.suite = distinct(item.nodeid for item in items)
        numbers = cut(self.suite, self._durations, self.shard.total)
        self.cut_digest = cut_digest(self.suite, numbers)
        self.kept = tuple(place for place, number in enumerate(numbers) if number == self.shard.number)
        items[:] = [items[place] for place in self.kept]
        if self._channel is not None:
            self._channel.send((self.suite, self.kept, self.cut_digest))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give a new worker of xdist what it needs to cut as we would, and a channel."""
        node.workerinput[_DURATIONS] = self._durations
        node.workerinput[_CHANNEL] = node.envmatrix_suite = node.gateway.newchannel()

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        """Take the whole suite from the first worker, before the recorder writes its header."""
        if not self.cut_digest:
            self.suite, self.kept, self.cut_digest = node.envmatrix_suite.receive(_DEADLINE)

    def pytest_report_header(self) -> str:
        """Name the shard."""
        return f"envmatrix: shard {self.shard}"

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> str:
        """Show how many of the suite's tests are in the shard."""
        return f"shard {self.shard}: {len(items)} of {len(self.suite)} tests"
