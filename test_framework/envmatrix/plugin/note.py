"""What our plugin knows about a test's phase, attached to pytest's report as one typed value.

xdist sends reports as plain values from worker to controller: the hooks here turn the note into one, and back.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import replace

from envmatrix.runs.events import Evidence
from envmatrix.runs.outcomes import Cause
from envmatrix.runs.ping import Ping

if TYPE_CHECKING:
    from typing import TypeGuard

_NAME = "envmatrix_note"
_SUBTEST = getattr(pytest, "SubtestReport", ())


def is_subtest(report: pytest.TestReport) -> TypeGuard[pytest.SubtestReport]:
    """Return whether a report is of a subtest, which pytest has from version 9 on."""
    return isinstance(report, _SUBTEST)


class ReportNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about one phase of one test."""

    cause: Cause | None = None
    evidence: Evidence | None = None
    is_blocked: bool = False
    """Whether a failed prerequisite kept the test from running."""
    services: tuple[str, ...] = ()
    """Services that the test used."""
    capabilities: tuple[str, ...] = ()
    """Capabilities that the test exercised."""
    requests: dict[str, tuple[float, ...]] = {}
    """Route → the milliseconds of each answer, where the run is sampled."""
    attestation: dict[str, Ping] = {}
    """What each service said it is, in the first report after the smoke check."""
    remark: str = ""
    """The evidence that was lost to an error of our own, and why."""
    left_over: str = ""
    """What the test left behind, in one line, where that does not fail it."""


_EMPTY = ReportNote()


def note_of(report: pytest.TestReport | pytest.CollectReport) -> ReportNote:
    """Return the note on a report."""
    note: ReportNote = report.__dict__.get(_NAME, _EMPTY)
    return note


def add_note(report: pytest.TestReport, **changes: Any) -> None:
    """Change fields of the note on a report."""
    setattr(report, _NAME, replace(note_of(report), **changes))


class Notes:
    """Carries notes between xdist's processes."""

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(
        self, report: pytest.TestReport | pytest.CollectReport
    ) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        """Turn the note into plain values."""
        data = yield
        if data is not None and _NAME in data:
            data[_NAME] = msgspec.to_builtins(note_of(report))
        return data

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(self) -> Generator[None, Any, Any]:
        """Read the note again."""
        report = yield
        if report is not None and _NAME in report.__dict__:
            setattr(report, _NAME, msgspec.convert(report.__dict__[_NAME], ReportNote))
        return report
