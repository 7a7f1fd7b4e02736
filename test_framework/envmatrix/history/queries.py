"""Questions about all recorded runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

from msgspec import convert
from msgspec.structs import replace

from envmatrix.exceptions import HistoryError
from envmatrix.history.file import encoded, normal_time, open_for_reading
from envmatrix.history.timeline import PastCell, Timeline
from envmatrix.matrix.renames import renames
from envmatrix.matrix.table import Matrix
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.events import Attempt, Attestation, Evidence, FindingRecord, Footer, Header
from envmatrix.runs.outcomes import Cause, Outcome

_RECENT_RUNS = 100
"""Runs of each environment that count for the flakiest tests: older flakes are fixed by now."""

_RECENT_DURATIONS = 10
"""Runs of each environment that count for a test's duration: recent, and more than one slow machine."""

_NOISE_RUNS = 30
"""Earlier runs that count for the noise of a test: older ones may be of another test body."""


_SHOWN_RUNS = 10
"""Earlier runs of which a report shows a test's outcomes: what fits beside a cell."""


_END_OF_TIME = "9999"
"""A text that sorts after every time."""


class History:
    """All recorded runs; a context manager, since every question may find the file damaged.

    Raises:
        HistoryError: it is missing, damaged or no history; questions inside of its context raise it too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_for_reading(path)
        self._connection.row_factory = sqlite3.Row

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        if isinstance(error, sqlite3.Error):
            raise HistoryError(self._path, f"cannot be read: {error}") from None

    def tests_like(self, word: str) -> tuple[str, ...]:
        """Return the test of exactly that name, else all whose names contain the word."""
        exact = self._connection.execute("SELECT name FROM tests WHERE name = CAST(? AS TEXT)", (encoded(word),))
        names = tuple(name for (name,) in exact)
        if names:
            return names
        near = self._connection.execute(
            "SELECT name FROM tests WHERE instr(name, CAST(? AS TEXT)) ORDER BY name", (encoded(word),)
        )
        return tuple(name for (name,) in near)

    @property
    def environments(self) -> tuple[str, ...]:
        """Return the environments that have a recorded run, sorted."""
        rows = self._connection.execute("SELECT DISTINCT environment FROM runs ORDER BY 1")
        return tuple(name for (name,) in rows)

    def commits_like(self, prefix: str) -> tuple[str, ...]:
        """Return the recorded commits that begin with a prefix."""
        rows = self._connection.execute(
            "SELECT DISTINCT commit_id FROM runs WHERE substr(commit_id, 1, ?) = ? ORDER BY 1", (len(prefix), prefix)
        )
        return tuple(commit for (commit,) in rows)

    def cells(self, test: str, environment: str = "") -> tuple[PastCell, ...]:
        """Return the cells of a test, by environment, the oldest first; of one environment if that is named.

        Cells under former names come before: a rename does not hide since when a test fails.
        """
        rows = self._connection.execute(
            "SELECT DISTINCT environment FROM entries WHERE test = CAST(? AS TEXT) AND (? = '' OR environment = ?)"
            " ORDER BY environment",
            (encoded(test), environment, environment),
        )
        return tuple(chain.from_iterable(self._with_former_names(test, name) for (name,) in rows.fetchall()))

    def _with_former_names(self, test: str, environment: str) -> tuple[PastCell, ...]:
        cells: list[PastCell] = []
        name, oldest = test, _END_OF_TIME
        while name:
            rows = self._connection.execute(
                "SELECT * FROM entries WHERE test = CAST(? AS TEXT) AND environment = ? AND started_at < ?"
                " ORDER BY started_at, run",
                (encoded(name), environment, oldest),
            ).fetchall()
            if not rows:
                break
            cells[:0] = map(_cell, rows)
            oldest = rows[0]["started_at"]
            name = self._former_name(name, environment, rows[0]["run"], oldest)
        return tuple(cells)

    def _former_name(self, test: str, environment: str, run: int, moment: str) -> str:
        """Return the name of a test in the run before the first one of its present name; empty if unknown."""
        before = self._connection.execute(
            "SELECT id FROM runs WHERE environment = ? AND started_at < ? ORDER BY started_at DESC, id DESC LIMIT 1",
            (environment, moment),
        ).fetchone()
        if before is None:
            return ""
        old, new = self._bodies(before["id"]), self._bodies(run)
        gone = {name: body for name, body in old.items() if name not in new}
        return renames(gone, {name: body for name, body in new.items() if name not in old}).get(test, "")

    def _bodies(self, run: int) -> Mapping[str, str]:
        rows = self._connection.execute(
            "SELECT name, coalesce(body, '') FROM cells JOIN tests ON tests.id = cells.test WHERE run = ?", (run,)
        )
        return {name: body for name, body in rows}  # noqa: C416  rows are pairs for us, not for a type checker

    def flakiest(self, limit: int, environment: str = "") -> Sequence[tuple[str, Timeline]]:
        """Return the flakiest tests of recent runs, each with its timeline in one environment, the worst first."""
        rows = self._connection.execute(
            "SELECT * FROM entries JOIN ages USING (run) WHERE age <= ? AND (? = '' OR environment = ?) AND test_id IN"
            " (SELECT test FROM cells JOIN ages USING (run) WHERE age <= ? AND outcome IN ('flaky', 'failed'))"
            " ORDER BY environment, test, started_at, run",
            (_RECENT_RUNS, environment, environment, _RECENT_RUNS),
        )
        groups = groupby(rows, key=lambda row: (row["environment"], row["test"]))
        timelines = [(test, Timeline.of(name, list(map(_cell, group)))) for (name, test), group in groups]
        flaky = [(test, timeline) for test, timeline in timelines if timeline.flake_rate]
        return sorted(flaky, key=lambda each: (-(each[1].flake_rate or 0), each[1].environment, each[0]))[:limit]

    def slowest(self, limit: int, environment: str = "") -> Sequence[tuple[str, str, float]]:
        """Return environment, name and seconds of the slowest tests, the slowest first."""
        medians = [(name, test, median(seconds)) for (name, test), seconds in self._passed(environment)]
        return sorted(medians, key=lambda each: (-each[2], each[0], each[1]))[:limit]

    def durations(self, environment: str = "") -> Mapping[str, float]:
        """Map each test to its seconds: the median of its last passed runs, in all environments or one."""
        durations: dict[str, list[float]] = {}
        for (_, test), seconds in self._passed(environment):
            durations.setdefault(test, []).extend(seconds)
        return {test: median(seconds) for test, seconds in durations.items()}

    def _passed(self, environment: str) -> Iterator[tuple[tuple[str, str], list[float]]]:
        rows = self._connection.execute(
            "SELECT environment, test, duration FROM entries JOIN ages USING (run)"
            " WHERE age <= ? AND outcome = 'passed' AND (? = '' OR environment = ?) ORDER BY 1, 2",
            (_RECENT_DURATIONS, environment, environment),
        )
        for key, group in groupby(rows, key=lambda row: (row["environment"], row["test"])):
            yield key, [seconds for _, _, seconds in group]

    def earlier_durations(self, environment: str, test: str, moment: str = "") -> Sequence[float]:
        """Return the seconds of a test's last passed runs, before a time (ISO 8601) if one is named."""
        rows = self._connection.execute(
            "SELECT duration FROM entries WHERE test = CAST(? AS TEXT) AND environment = ? AND outcome = 'passed'"
            " AND (? = '' OR started_at < ?) ORDER BY started_at DESC, run DESC LIMIT ?",
            (encoded(test), environment, moment, normal_time(moment), _NOISE_RUNS),
        )
        return [seconds for (seconds,) in rows]

    def earlier_numbers(self, label: str, test: str, moment: str = "") -> Sequence[Mapping[str, float]]:
        """Return what a test's last passed runs measured, before a time (ISO 8601) if one is named.

        By the environment's label: a twin's numbers say nothing about the deployment that it stands in for.
        """
        rows = self._connection.execute(
            "SELECT measured FROM entries WHERE test = CAST(? AS TEXT) AND label = CAST(? AS TEXT)"
            " AND outcome = 'passed' AND measured IS NOT NULL AND (? = '' OR started_at < ?)"
            " ORDER BY started_at DESC, run DESC LIMIT ?",
            (encoded(test), encoded(label), moment, normal_time(moment), _NOISE_RUNS),
        )
        return [json.loads(measured) for (measured,) in rows]

    def past_outcomes(self, environment: str, moment: str) -> Mapping[str, Sequence[Outcome]]:
        """Map each test to how it ended in the last runs of an environment before a time (ISO 8601), the oldest first."""
        rows = self._connection.execute(
            "SELECT name, group_concat(outcome, ' ') FROM (SELECT tests.name, outcome FROM cells"
            " JOIN (SELECT id, started_at FROM runs WHERE environment = CAST(? AS TEXT) AND started_at < ?"
            " ORDER BY started_at DESC, id DESC LIMIT ?) AS last ON last.id = cells.run"
            " JOIN tests ON tests.id = cells.test ORDER BY last.started_at, last.id) GROUP BY name",
            (encoded(environment), normal_time(moment), _SHOWN_RUNS),
        ).fetchall()
        ends = {words: tuple(map(Outcome, words.split())) for words in {words for _, words in rows}}
        return {name: ends[words] for name, words in rows}

    def matrix_of(self, commit: str) -> Matrix | None:
        """Return the last run of each environment at a commit, by its full name; `None` if there is none.

        One that is narrowed, or has another name than the environment, counts only if there is no other, a dirty one
        never. Of a cell's evidence only rule and summary are
        recorded, and not how each attempt ended.
        """
        rows = self._connection.execute(
            "SELECT id, events FROM (SELECT id, events, environment, row_number() OVER"
            " (PARTITION BY environment ORDER BY coalesce(json_extract(events, '$.header.base'), '') != '',"
            " coalesce(json_array_length(events, '$.header.narrowed'), 0) > 0,"
            " finished DESC, started_at DESC, id DESC) AS age"
            " FROM runs WHERE commit_id = ? AND NOT dirty) WHERE age = 1 ORDER BY environment",
            (commit,),
        ).fetchall()
        return Matrix.from_runs([self._run(number, json.loads(events)) for number, events in rows]) if rows else None

    def _run(self, number: int, events: Mapping[str, Any]) -> Run:
        cells: dict[str, Cell] = {}
        bodies: dict[str, str] = {}
        for test, outcome, cause, rule, summary, reason, duration, attempts, body, measured in self._connection.execute(
            "SELECT tests.name, outcome, cause, rule, summary, reason, duration, attempts, body, measured"
            " FROM cells JOIN tests ON tests.id = cells.test WHERE run = ? ORDER BY position",
            (number,),
        ):
            ended, why = Outcome(outcome), Cause(cause) if cause else None
            numbers = json.loads(measured) if measured else {}
            tries = (Attempt(test, ended, duration, measured=numbers),) if attempts else ()
            evidence = Evidence(rule, summary or "") if rule else None
            cells[test] = Cell(test, ended, tries, why, evidence, reason or "")
            if body:
                bodies[test] = body
        environment = events["header"]["environment"]
        for commit, reused in events["reused"].items():
            cells |= self._reused(environment, commit, frozenset(reused))
        return Run(
            header=replace(convert(events["header"], Header), planned=tuple(cells)),
            cells=cells,
            footer=convert(events["footer"], Footer | None),
            findings=convert(events["findings"], tuple[FindingRecord, ...]),
            attestations=convert(events["attestations"], tuple[Attestation, ...]),
            bodies=bodies,
        )

    def _reused(self, environment: str, commit: str, tests: frozenset[str]) -> Mapping[str, Cell]:
        """Return the cells of reused tests, from the commit that they were run at."""
        rows = self._connection.execute(
            "SELECT tests.name, outcome, cause, rule, summary, reason, duration FROM cells"
            " JOIN tests ON tests.id = cells.test JOIN runs ON runs.id = cells.run"
            " WHERE environment = CAST(? AS TEXT) AND commit_id = ? AND NOT dirty ORDER BY started_at, runs.id",
            (encoded(environment), commit),
        )
        cells = {}
        for test, outcome, cause, rule, summary, reason, duration in rows:
            if test in tests:
                ended, why = Outcome(outcome), Cause(cause) if cause else None
                evidence = Evidence(rule, summary or "") if rule else None
                cells[test] = Cell(test, ended, (Attempt(test, ended, duration),), why, evidence, reason or "", commit)
        return cells


def _cell(row: sqlite3.Row) -> PastCell:
    return PastCell(
        test=row["test"],
        environment=row["environment"],
        label=row["label"],
        commit=row["commit_id"],
        dirty=bool(row["dirty"]),
        started_at=row["started_at"],
        run_id=row["run_id"],
        outcome=Outcome(row["outcome"]),
        cause=Cause(row["cause"]) if row["cause"] else None,
        rule=row["rule"] or "",
        summary=row["summary"] or "",
        duration=row["duration"],
        attempts=row["attempts"],
    )
