"""What a site shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from envmatrix.gate import Answer, Verdict
from envmatrix.history import Timeline
from envmatrix.history.timeline import PastRun
from envmatrix.matrix.table import Column
from envmatrix.runs.events import Header
from envmatrix.safety.names import check_name


class PageFacts(Struct, frozen=True):
    """What the index says of one matrix; a file beside its page, so that the run files are not read again."""

    started_at: str
    commit: str
    dirty: bool
    run_ids: tuple[str, ...]
    answers: dict[str, Answer]
    """Label of the environment → verdict."""


@dataclass(frozen=True, slots=True)
class EnvironmentFacts:
    """One environment over time."""

    column: Column
    """Its last run."""
    verdict: Verdict
    runs: Sequence[PastRun]
    """The oldest first."""
    flakiest: Sequence[tuple[str, Timeline]]
    slowest: Sequence[tuple[str, Sequence[float]]]
    """Test, and the seconds of its last passed runs, the oldest first."""

    @property
    def page(self) -> str:
        """Return the name of its page."""
        return f"environments/{check_name(self.column.judged_as)}.html"


@dataclass(frozen=True, slots=True)
class Site:
    """All environments, and the pages of matrices that there are."""

    made_at: str
    environments: Sequence[EnvironmentFacts]
    pages: Mapping[str, PageFacts]
    """Path of the page → its facts, the newest first."""

    def page_of(self, run_id: str) -> str:
        """Return the path of the page that shows a run; empty if there is none."""
        return next((path for path, facts in self.pages.items() if run_id in facts.run_ids), "")


def page_name(headers: Iterable[Header]) -> str:
    """Return the name of a matrix's page, the same on every machine; names sort by time."""
    started = sorted((header.started_at, header.run_id) for header in headers)
    digest = hashlib.sha256(repr(started).encode(errors="surrogatepass")).hexdigest()[:12]
    moment = "".join(char for char in started[0][0][:19] if char in "0123456789T") if started else ""
    return f"{moment or 'unknown'}-{digest}"
