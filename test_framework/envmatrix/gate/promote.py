"""Judge whether a commit may go on to the next environment, by the evidence of its runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from envmatrix.gate.verdict import Answer, Code, Reason, Verdict, decided, number_of_tests
from envmatrix.matrix.table import Column
from envmatrix.runs.cells import Run

_HOUR = 3600.0


def promote(
    source: Column | None,
    target: Column | None,
    *,
    names: tuple[str, str],
    verdict: Verdict | None,
    commit: str,
    now: datetime,
    maximum_age: float,
) -> Verdict:
    """Judge whether `commit` may go from one environment to the other.

    `verdict` is the gate's on the source. `maximum_age` is in hours. The target's last run is reported and decides nothing:
    the commit is not there yet.
    """
    reasons = [*_about_target(target, names[1])]
    run = source.run if source is not None else None
    if isinstance(run, Run) and verdict is not None:
        reasons += [*_about_evidence(run, commit, now, maximum_age), *_about_verdict(names[0], verdict)]
    else:
        reasons.append(
            Reason(Code.NO_RUN, f"missing: there is no run of {names[0]}: envmatrix run {names[0]}", Answer.UNKNOWN)
        )
    return decided(f"{names[0]} to {names[1]}", reasons)


def _about_evidence(run: Run, commit: str, now: datetime, maximum_age: float) -> Iterator[Reason]:
    """Yield the reasons why a run is no evidence for a commit."""
    header = run.header
    if header.commit != commit:
        text = f"of another commit: {header.label} was run at {header.commit[:12]}, the one to promote is {commit[:12]}"
        yield Reason(Code.OTHER_COMMIT, text, Answer.UNKNOWN)
    if number := sum(map(len, run.reused.values())):
        text = f"in part: {number} of {number_of_tests(len(run.cells))} of {header.label} not run at it, but taken over: run all"
        yield Reason(Code.REUSED, text, Answer.UNKNOWN)
    age = (now - datetime.fromisoformat(header.started_at)).total_seconds() / _HOUR
    if age > maximum_age:
        text = f"stale: {header.label} was run {age:.0f} hours ago, at most {maximum_age:g} count"
        yield Reason(Code.STALE, text, Answer.UNKNOWN)


def _about_verdict(name: str, verdict: Verdict) -> Iterator[Reason]:
    """Yield the reasons that decided the verdict on the source."""
    for reason in verdict.reasons:
        if reason.calls_for is verdict.answer:
            yield Reason(reason.code, f"{name}: {reason.text}", reason.calls_for, reason.tests)


def _about_target(column: Column | None, name: str) -> Iterator[Reason]:
    run = column.run if column is not None else None
    if not isinstance(run, Run):
        yield Reason(Code.NO_RUN, f"nothing is known of {name}: no run of it is here", Answer.COMPATIBLE)
        return
    where = f"{run.header.label} was last run at {run.header.commit[:12]}, {run.header.started_at[:16]}"
    yield Reason(Code.PASSED, where, Answer.COMPATIBLE)
