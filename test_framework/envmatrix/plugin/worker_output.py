"""The last message of an xdist worker to the controller, which alone writes the run file."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from envmatrix.plugin.body_digests import body_digests
from envmatrix.plugin.process import Process
from envmatrix.runs.ping import Ping

_KEY = "envmatrix"
"""The key of the message in xdist's `workeroutput`."""


class WorkerOutput(msgspec.Struct, frozen=True):
    """What a worker reports at its end."""

    deselected: int = 0
    """How many tests were collected and left out."""
    attestation: dict[str, Ping] = {}
    """The last ping of each service in use."""
    body_digests: tuple[str, ...] = ()
    """Of the tests that were kept, in their order."""

    @classmethod
    def of(cls, node: object) -> WorkerOutput:
        """Return the output of an xdist worker that has ended; one that crashed reports nothing."""
        output = getattr(node, "workeroutput", None) or {}
        return msgspec.convert(output.get(_KEY, {}), cls)


class WorkerReporter:
    """Sends the message; registered in workers only."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._deselected = 0

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the tests that were collected and left out."""
        self._deselected += len(items)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the message."""
        output = WorkerOutput(self._deselected, self._process.final_attestation(), tuple(body_digests(session.items)))
        session.config.workeroutput[_KEY] = msgspec.to_builtins(output)  # type: ignore[attr-defined]  # xdist's
