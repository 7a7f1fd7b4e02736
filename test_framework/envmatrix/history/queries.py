"""Questions about all recorded runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import itemgetter
from statistics import median
from typing import Any

from envmatrix.history.file import normal_time
from envmatrix.history.recorded import RecordedRuns
from envmatrix.history.timeline import PastCell, PastRun, Timeline
from envmatrix.matrix.renames import renames
from envmatrix.runs.outcomes import Cause, Outcome

_RECENT_RUNS = 100
"""Runs of each environment that count for the flakiest tests: older flakes are fixed by now."""

_RECENT_DURATIONS = 10
"""Runs of each environment that count for a test's duration: recent, and more than one slow machine."""

_NOISE_RUNS = 30
"""Earlier runs that count for the noise of a test: older ones may be of another test body."""


SHOWN_RUNS = 10
"""Earlier runs of which a report shows a test's outcomes: what fits beside a cell."""


_END_OF_TIME = "9999"
"""A text that sorts after every time."""


class History(RecordedRuns):
    """All recorded runs; a context manager, since every question may find the file damaged.

    Raises:
        HistoryError: it is missing, damaged or no history; questions inside of its context raise it too.
    """

    def tests_like(self, word: str) -> tuple[str, ...]:
        """Return the test of exactly that name, else all whose names contain the word."""
        exact = self._rows("SELECT name FROM tests WHERE name = CAST(? AS TEXT)", (self._text(word),))
        names = tuple(name for (name,) in exact)
        if names:
            return names
        near = self._rows(
            "SELECT name FROM tests WHERE instr(name, CAST(? AS TEXT)) ORDER BY name", (self._text(word),)
        )
        return tuple(name for (name,) in near)

    @property
    def environments(self) -> tuple[str, ...]:
        """Return the environments that have a recorded run, sorted."""
        rows = self._rows("SELECT DISTINCT environment FROM runs ORDER BY 1")
        return tuple(name for (name,) in rows)

    def commits_like(self, prefix: str) -> tuple[str, ...]:
        """Return the recorded commits that begin with a prefix."""
        rows = self._rows(
            "SELECT DISTINCT commit_id FROM runs WHERE substr(commit_id, 1, ?) = ? ORDER BY 1", (len(prefix), prefix)
        )
        return tuple(commit for (commit,) in rows)

    def cells(self, test: str, environment: str = "") -> tuple[PastCell, ...]:
        """Return the cells of a test, by environment, the oldest first; of one environment if that is named.

        Cells under former names come before: a rename does not hide since when a test fails.
        """
        rows = self._rows(
            "SELECT DISTINCT environment FROM entries WHERE test = CAST(? AS TEXT) AND (? = '' OR environment = ?)"
            " ORDER BY environment",
            (self._text(test), environment, environment),
        )
        return tuple(chain.from_iterable(self._with_former_names(test, name) for (name,) in rows))

    def _with_former_names(self, test: str, environment: str) -> tuple[PastCell, ...]:
        cells: list[PastCell] = []
        name, oldest = test, _END_OF_TIME
        while name:
            rows = self._rows(
                "SELECT * FROM entries WHERE test = CAST(? AS TEXT) AND environment = ? AND started_at < ?"
                " ORDER BY started_at, run",
                (self._text(name), environment, oldest),
            )
            if not rows:
                break
            cells[:0] = map(_cell, rows)
            oldest = cells[0].started_at
            name = self._former_name(name, environment, rows[0][0], oldest)
        return tuple(cells)

    def _former_name(self, test: str, environment: str, run: int, moment: str) -> str:
        """Return the name of a test in the run before the first one of its present name; empty if unknown."""
        before = self._rows(
            "SELECT id FROM runs WHERE environment = ? AND started_at < ? ORDER BY started_at DESC, id DESC LIMIT 1",
            (environment, moment),
        )
        if not before:
            return ""
        old, new = self._bodies(before[0][0]), self._bodies(run)
        gone = {name: body for name, body in old.items() if name not in new}
        return renames(gone, {name: body for name, body in new.items() if name not in old}).get(test, "")

    def _bodies(self, run: int) -> Mapping[str, str]:
        return {cell.test: cell.body or "" for cell in self._cells_of(run)}

    def flakiest(self, limit: int, environment: str = "") -> Sequence[tuple[str, Timeline]]:
        """Return the flakiest tests of recent runs, each with its timeline in one environment, the worst first."""
        rows = self._rows(
            "SELECT * FROM entries JOIN ages USING (run) WHERE age <= ? AND (? = '' OR environment = ?) AND test_id IN"
            " (SELECT test FROM cells JOIN ages USING (run) WHERE age <= ? AND outcome IN ('flaky', 'failed'))"
            " ORDER BY environment, test, started_at, run",
            (_RECENT_RUNS, environment, environment, _RECENT_RUNS),
        )
        groups = groupby(rows, key=itemgetter(2, 3))
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
        rows = self._rows(
            "SELECT environment, test, duration FROM entries JOIN ages USING (run)"
            " WHERE age <= ? AND outcome = 'passed' AND (? = '' OR environment = ?) ORDER BY 1, 2",
            (_RECENT_DURATIONS, environment, environment),
        )
        for key, group in groupby(rows, key=itemgetter(0, 1)):
            yield key, [seconds for _, _, seconds in group]

    def earlier_durations(self, environment: str, test: str, moment: str = "") -> Sequence[float]:
        """Return the seconds of a test's last passed runs, before a time (ISO 8601) if one is named."""
        rows = self._rows(
            "SELECT duration FROM entries WHERE test = CAST(? AS TEXT) AND environment = ? AND outcome = 'passed'"
            " AND (? = '' OR started_at < ?) ORDER BY started_at DESC, run DESC LIMIT ?",
            (self._text(test), environment, moment, normal_time(moment), _NOISE_RUNS),
        )
        return [seconds for (seconds,) in rows]

    def earlier_numbers(self, label: str, test: str, moment: str = "") -> Sequence[Mapping[str, float]]:
        """Return what a test's last passed runs measured, before a time (ISO 8601) if one is named.

        By the environment's label: a twin's numbers say nothing about the deployment that it stands in for.
        """
        rows = self._rows(
            "SELECT measured FROM entries WHERE test = CAST(? AS TEXT) AND label = CAST(? AS TEXT)"
            " AND outcome = 'passed' AND measured IS NOT NULL AND (? = '' OR started_at < ?)"
            " ORDER BY started_at DESC, run DESC LIMIT ?",
            (self._text(test), self._text(label), moment, normal_time(moment), _NOISE_RUNS),
        )
        return [json.loads(measured) for (measured,) in rows]

    def past_outcomes(self, environment: str, moment: str) -> Mapping[str, Sequence[Outcome]]:
        """Map each test to how it ended in the last runs of an environment before a time (ISO 8601), the oldest first."""
        rows = self._rows(
            "SELECT name, group_concat(outcome, ' ') FROM (SELECT tests.name, outcome FROM cells"
            " JOIN (SELECT id, started_at FROM runs WHERE environment = CAST(? AS TEXT) AND started_at < ?"
            " ORDER BY started_at DESC, id DESC LIMIT ?) AS last ON last.id = cells.run"
            " JOIN tests ON tests.id = cells.test ORDER BY last.started_at, last.id) GROUP BY name",
            (self._text(environment), normal_time(moment), SHOWN_RUNS),
        )
        ends = {words: tuple(map(Outcome, words.split())) for words in {words for _, words in rows}}
        return {name: ends[words] for name, words in rows}

    def runs(self, environment: str, limit: int) -> Sequence[PastRun]:
        """Return the last runs of an environment, the oldest first."""
        rows = self._rows(
            "SELECT runs.run_id, commit_id, dirty, started_at, CAST(json_extract(events, '$.footer.duration') AS DOUBLE),"
            " outcome, count(outcome) FROM runs JOIN ages ON ages.run = runs.id LEFT JOIN cells ON cells.run = runs.id"
            " WHERE environment = CAST(? AS TEXT) AND age <= ? GROUP BY runs.id, runs.run_id, commit_id, dirty, started_at,"
            " events, outcome ORDER BY started_at, runs.id",
            (self._text(environment), limit),
        )
        return [
            PastRun(
                run_id,
                commit,
                bool(dirty),
                started_at,
                seconds,
                {Outcome(each[5]): each[6] for each in group if each[5]},
            )
            for (run_id, commit, dirty, started_at, seconds), group in groupby(rows, key=itemgetter(0, 1, 2, 3, 4))
        ]

    def longest(self, limit: int, environment: str) -> Sequence[tuple[str, Sequence[float]]]:
        """Return the slowest tests of an environment, each with the seconds of its last passed runs, the oldest first."""
        rows = self._rows(
            "SELECT test, duration FROM entries JOIN ages USING (run) WHERE age <= ? AND outcome = 'passed'"
            " AND environment = CAST(? AS TEXT) ORDER BY test, started_at, run",
            (_NOISE_RUNS, self._text(environment)),
        )
        took = [(test, [seconds for _, seconds in group]) for test, group in groupby(rows, key=itemgetter(0))]
        return sorted(took, key=lambda each: (-median(each[1][-_RECENT_DURATIONS:]), each[0]))[:limit]


def _cell(row: Sequence[Any]) -> PastCell:
    """Return the cell of a row of `entries`."""
    (
        _,
        _,
        environment,
        test,
        label,
        commit,
        dirty,
        started_at,
        run_id,
        outcome,
        cause,
        rule,
        summary,
        duration,
        attempts,
        *_,
    ) = row
    return PastCell(
        test=test,
        environment=environment,
        label=label,
        commit=commit,
        dirty=bool(dirty),
        started_at=started_at,
        run_id=run_id,
        outcome=Outcome(outcome),
        cause=Cause(cause) if cause else None,
        rule=rule or "",
        summary=summary or "",
        duration=duration,
        attempts=attempts,
    )
