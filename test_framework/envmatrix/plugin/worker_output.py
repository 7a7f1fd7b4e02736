"""The last message of an xdist worker to the controller, which alone writes the run file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from envmatrix.plugin.body_digests import body_digests
from envmatrix.plugin.process import Process

_KEY = "envmatrix"
"""The key of the message in xdist's `workeroutput`."""


@dataclass(frozen=True, slots=True)
class WorkerOutput:
    """What a worker reports at its end."""

    deselected: int = 0
    """How many tests were collected and left out."""
    attestation: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """The last ping of each service in use."""
    body_digests: Sequence[str] = ()
    """Of the tests that were kept, in their order."""

    @classmethod
    def of(cls, node: object) -> WorkerOutput:
        """Return the output of an xdist worker that has ended; one that crashed reports nothing."""
        output = getattr(node, "workeroutput", None) or {}
        return cls(**output.get(_KEY, {}))


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
        output = WorkerOutput(self._deselected, self._process.final_attestation(), body_digests(session.items))
        session.config.workeroutput[_KEY] = asdict(output)  # type: ignore[attr-defined]  # xdist's
