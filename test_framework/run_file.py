"""The run file: JSON Lines, one event a line, each written in one `write`.

A header once the tests are known, an attempt per test, findings and attestations as they are seen, a footer at the end.
A killed run loses at most the test in flight; a file without its footer is incomplete, and every planned test without an
attempt is `not_run`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from test_framework.cells import (
    SCHEMA,
    Attempt,
    Attestation,
    Bodies,
    Cause,
    Cell,
    Evidence,
    FindingRecord,
    Footer,
    Header,
    Outcome,
    Run,
    digest,
)
from test_framework.exceptions import RunFileError

_MAX_LINE_BYTES = 64 << 20
"""A header with 300,000 long node ids is about that; anything longer is no run file of ours."""

_quote = json.encoder.encode_basestring_ascii
"""A string as JSON, as json.dumps would write it."""


class RunWriter:
    """Writes one run file.

    Raises:
        OSError: the file exists already, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def event(self, event: Header | Footer | Attestation | Bodies | FindingRecord) -> None:
        """Append an event."""
        self._line(event.model_dump(mode="json", by_alias=True))

    def passed(
        self,
        test: str,
        duration: float,
        worker: str = "",
        services: tuple[str, ...] = (),
        capabilities: tuple[str, ...] = (),
    ) -> None:
        """Append a passed test: by far the most common line, so written without a detour (5 times faster)."""
        more = f',"worker":{_quote(worker)}' if worker else ""
        if services:
            more += f',"services":{json.dumps(services)}'
        if capabilities:
            more += f',"capabilities":{json.dumps(capabilities)}'
        self._write(f'{{"type":"attempt","test":{_quote(test)},"outcome":"passed","duration":{duration:.6f}{more}}}\n')

    def attempt(self, attempt: Attempt) -> None:
        """Append what became of one try."""
        line: dict[str, Any] = {
            "type": "attempt",
            "test": attempt.test,
            "outcome": attempt.outcome,
            "duration": round(attempt.duration, 6),
        }
        if attempt.worker:
            line["worker"] = attempt.worker
        if attempt.services:
            line["services"] = attempt.services
        if attempt.capabilities:
            line["capabilities"] = attempt.capabilities
        if attempt.reason:
            line["reason"] = attempt.reason
        if attempt.cause is not None:
            line["cause"] = attempt.cause
        if attempt.evidence is not None:
            line["evidence"] = asdict(attempt.evidence)
        self._line(line)

    def _line(self, event: Mapping[str, Any]) -> None:
        self._write(json.dumps(event, separators=(",", ":")) + "\n")

    def _write(self, line: str) -> None:
        data = line.encode()
        written = 0
        try:
            while written < len(data):  # one write, but for a nearly full disk, which takes a part and then says why
                written += os.write(self._descriptor, data[written:])
        except OSError:
            # The next line, once there is room again, must not be glued to a torn one.
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise

    def close(self) -> None:
        """Close the file; the footer is the caller's to write."""
        os.close(self._descriptor)


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each line's number and event; a last line without its end is dropped, as a killed run leaves it.

    Raises:
        RunFileError: the file cannot be read, or a line in it is no event.
    """
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(iter(lambda: stream.readline(_MAX_LINE_BYTES + 1), b""), start=1):
                if len(line) > _MAX_LINE_BYTES:
                    raise RunFileError(path, "is no run file: a line is longer than 64 MiB", number)
                if not line.endswith(b"\n"):
                    return
                try:
                    event = json.loads(line)
                except (ValueError, RecursionError):
                    raise RunFileError(path, "is no run file: not JSON", number) from None
                if not isinstance(event, dict):
                    raise RunFileError(path, "is no run file: not a JSON object", number)
                yield number, event
    except OSError as error:
        raise RunFileError(path, f"cannot be read: {error.strerror}") from None


def read_run(path: Path) -> Run:
    """Read a run file, whole or cut short.

    Raises:
        RunFileError: it is no run file, or of a schema that this version does not read.
    """
    header: Header | None = None
    events: dict[str, list[Any]] = {kind: [] for kind in _READERS}
    for number, event in read_lines(path):
        kind = str(event.get("type"))
        if (kind == "header") is (header is not None):
            what = "holds a second header: two runs wrote to one file" if header else _NO_HEADER
            raise RunFileError(path, what, number)
        try:
            if header is None:
                header = _header(path, event)
            elif kind in _READERS:  # a newer version may add kinds that do not change the meaning of the others
                events[kind].append(_READERS[kind](event))
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise RunFileError(path, f"is damaged: {_what(error)}", number) from None
    if header is None:
        raise RunFileError(path, "is empty: the run ended before its tests were collected")
    footer: Footer | None = events["footer"][-1] if events["footer"] else None
    attempts: dict[str, list[Attempt]] = {test: [] for test in header.planned}
    for attempt in events["attempt"]:
        attempts.setdefault(attempt.test, []).append(attempt)
    cells = {test: _cell(test, tries, footer) for test, tries in attempts.items()}
    digests = events["bodies"][-1].digests if events["bodies"] else ()
    if digests and len(digests) != len(header.planned):
        raise RunFileError(path, f"is damaged: {len(digests)} bodies of {len(header.planned)} planned tests")
    bodies = dict(zip(header.planned, digests, strict=False))
    return Run(header, cells, footer, tuple(events["finding"]), tuple(events["attestation"]), bodies, path)


_NO_HEADER = "is no run file: the first line is not a header"


def _what(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _header(path: Path, event: Mapping[str, Any]) -> Header:
    version = event.get("schema")
    if version != SCHEMA:
        what = f"is of schema {version!r}; this envmatrix reads schema {SCHEMA}"
        raise RunFileError(path, f"{what}. Read it with the version that wrote it")
    header = Header.model_validate(event)
    if header.planned_digest and header.planned_digest != digest(header.planned):
        raise RunFileError(path, "has lost planned tests: its header's digest is of other node ids", 1)
    return header


def _attempt(event: Mapping[str, Any]) -> Attempt:
    evidence = event.get("evidence")
    duration = float(event.get("duration", 0.0))
    if not (isinstance(event["test"], str) and 0.0 <= duration < math.inf):
        raise ValueError("an attempt needs a test's name and a duration")
    return Attempt(
        test=event["test"],
        outcome=Outcome(event["outcome"]),
        duration=duration,
        worker=str(event.get("worker", "")),
        reason=str(event.get("reason", "")),
        cause=Cause(event["cause"]) if "cause" in event else None,
        evidence=None if evidence is None else _evidence(evidence),
        services=tuple(map(str, event.get("services", ()))),
        capabilities=tuple(map(str, event.get("capabilities", ()))),
    )


def _evidence(held: Mapping[str, Any]) -> Evidence:
    return Evidence(
        rule=str(held["rule"]),
        summary=str(held["summary"]),
        phase=str(held.get("phase", "")),
        place=str(held.get("place", "")),
        exceptions=tuple(map(str, held.get("exceptions", ()))),
        pings_before=tuple(map(dict, held.get("pings_before", ()))),
        pings=tuple(map(dict, held.get("pings", ()))),
        exchanges=tuple(map(str, held.get("exchanges", ()))),
        logs={str(name): str(text) for name, text in dict(held.get("logs", {})).items()},
        detail=str(held.get("detail", "")),
    )


_READERS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "attempt": _attempt,
    "attestation": Attestation.model_validate,
    "bodies": Bodies.model_validate,
    "finding": FindingRecord.model_validate,
    "footer": Footer.model_validate,
}
"""How each kind of event after the header is read."""


def _cell(test: str, attempts: list[Attempt], footer: Footer | None) -> Cell:
    if not attempts:
        why = (footer.reason or f"pytest ended with exit code {footer.exit_code}") if footer else "the run was killed"
        evidence = Evidence(rule="H303", summary=f"planned and never ended: {why}")
        return Cell(test, Outcome.NOT_RUN, (), Cause.HARNESS, evidence, why)
    last = attempts[-1]
    failed = next((attempt for attempt in reversed(attempts) if attempt.outcome is Outcome.FAILED), None)
    if failed is None:
        return Cell(test, last.outcome, tuple(attempts), last.cause, last.evidence, last.reason)
    # Only a pass takes a failure back; skipped or expected to fail when tried again does not.
    outcome = Outcome.FLAKY if last.outcome is Outcome.PASSED else Outcome.FAILED
    return Cell(test, outcome, tuple(attempts), failed.cause, failed.evidence, failed.reason)
