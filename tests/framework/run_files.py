"""Run files for tests, written and read by the real writer and reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import structs

from envmatrix.runs.cells import Run
from envmatrix.runs.events import Attempt, FindingRecord, Footer, Header
from envmatrix.runs.file import RunWriter, read_run

_FINISHED = Footer(ended_at="2026-01-02T03:04:07.000+00:00", duration=1.5, exit_code=0)


def header(
    environment: str = "local",
    *,
    planned: Iterable[str] = (),
    label: str = "",
    commit: str = "c" * 40,
    run_id: str = "",
    narrowed: tuple[str, ...] = (),
    sources: dict[str, str] | None = None,
    base: str = "",
) -> Header:
    """The header of a run."""
    return Header(
        run_id=run_id or f"run-of-{environment}",
        environment=environment,
        base=base,
        label=label or environment,
        started_at="2026-01-02T03:04:05.678+00:00",
        commit=commit,
        sources={"backend": "process", "redis": "absent"} if sources is None else sources,
        versions={"pytest": "9"},
        planned=tuple(planned),
        narrowed=narrowed,
    )


def footer(exit_code: int = 0, reason: str = "") -> Footer:
    """The footer of a run."""
    return structs.replace(_FINISHED, exit_code=exit_code, reason=reason)


def write_run(
    path: Path,
    *attempts: Attempt,
    environment: str = "local",
    planned: Sequence[str] | None = None,
    findings: Iterable[FindingRecord] = (),
    end: Footer | None = _FINISHED,
    **more: object,
) -> Run:
    """Write a run file and read it; planned is what has attempts, unless said."""
    if planned is None:
        planned = list(dict.fromkeys(attempt.test for attempt in attempts))
    writer = RunWriter(path)
    writer.write(header(environment, planned=planned, **more))  # type: ignore[arg-type]  # header's own keywords
    for finding in findings:
        writer.write(finding)
    for attempt in attempts:
        writer.write(attempt)
    if end is not None:
        writer.write(end)
    writer.close()
    return read_run(path)
