"""Several runs side by side: rows are tests, columns are environments. Pure, and the same whatever the order of the runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path

from envmatrix.exceptions import RunFileError
from envmatrix.runs.cells import Cell, MissingRun, Run
from envmatrix.runs.directory import Loaded
from envmatrix.runs.garbage import paused
from envmatrix.runs.nodeid import file_of
from envmatrix.runs.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Column:
    """One environment of a matrix."""

    run: Run | MissingRun
    note: str = ""
    """What the runner knows about the run's end and the run file does not: a deadline passed, a signal came."""

    @property
    def environment(self) -> str:
        """Return the environment's name."""
        return self.run.environment if isinstance(self.run, MissingRun) else self.run.header.environment

    @property
    def judged_as(self) -> str:
        """Return the declared environment that its run is judged as: `staging` for `pr-123`."""
        return self.run.environment if isinstance(self.run, MissingRun) else self.run.header.judged_as

    @property
    def label(self) -> str:
        """Return the column's name: `staging (twin)`."""
        return self.run.label if isinstance(self.run, MissingRun) else self.run.header.label

    @property
    def sources(self) -> Mapping[str, str]:
        """Map each service to where it came from; empty where there is no run."""
        return {} if isinstance(self.run, MissingRun) else self.run.header.sources

    @property
    def cells(self) -> Mapping[str, Cell]:
        """Return the run's cells by node id; none where there is no run."""
        return {} if isinstance(self.run, MissingRun) else self.run.cells


@dataclass(frozen=True, slots=True)
class Row:
    """One test in every environment."""

    test: str
    cells: tuple[Cell | None, ...]
    """In the order of the columns; `None` where the test was not planned."""

    @property
    def group(self) -> str:
        """Return the test's file."""
        return file_of(self.test)


@dataclass(frozen=True, slots=True)
class Selection:
    """What chose the rows of a matrix out of all that there were."""

    query: str
    of: int
    """Number of all tests."""


@dataclass(frozen=True)
class Matrix:
    """All tests in all environments, or those that a query selected."""

    columns: tuple[Column, ...]
    """By environment name."""
    rows: tuple[Row, ...]
    """By file; within one file in the order planned."""
    selection: Selection | None = None
    """Where not all tests are rows; the columns have them all the same."""

    @classmethod
    @paused()
    def from_runs(
        cls,
        runs: Iterable[Run],
        missing: Iterable[MissingRun] = (),
        *,
        notes: Mapping[str, str] | None = None,
        mixed_commits: bool = False,
    ) -> Matrix:
        """Put runs side by side; `notes` says, by environment, what is known about a run's end beside its file.

        Raises:
            RunFileError: two different runs of one environment, or, unless allowed, runs of different commits.
        """
        by_environment: dict[str, Run | MissingRun] = {absent.environment: absent for absent in missing}
        for run in runs:
            name = run.header.environment
            known = by_environment.get(name)
            if isinstance(known, Run) and known != run:
                what = f"is another run of {name!r} than {known.file}: one matrix holds one run an environment"
                if run.header.shard and known.header.shard:
                    what = (
                        f"is shard {run.header.shard} of {name!r}, {known.file} is shard {known.header.shard}. "
                        "Merge them first: envmatrix merge"
                    )
                raise RunFileError(run.file or Path(name), what)
            by_environment[name] = run
        if not mixed_commits:
            _refuse_mixed_commits([run for _, run in sorted(by_environment.items()) if isinstance(run, Run)])
        columns = tuple(Column(run, (notes or {}).get(name, "")) for name, run in sorted(by_environment.items()))
        tests = dict.fromkeys(chain.from_iterable(column.cells for column in columns))
        rows = map(Row, tests, zip(*(map(column.cells.get, tests) for column in columns), strict=True))
        return cls(columns, tuple(sorted(rows, key=lambda row: row.group)))

    @cached_property
    def groups(self) -> Mapping[str, tuple[Row, ...]]:
        """Return the rows by file."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.group, []).append(row)
        return {group: tuple(rows) for group, rows in groups.items()}

    @property
    def runs(self) -> tuple[Run, ...]:
        """Return the runs that there are, in the order of their columns."""
        return tuple(column.run for column in self.columns if isinstance(column.run, Run))

    @property
    def commits(self) -> tuple[str, ...]:
        """Return the commits under test: one, unless mixed ones were allowed."""
        return tuple(sorted({run.header.commit for run in self.runs}))

    @property
    def dirty(self) -> bool:
        """Return whether a run was made of files that differ from its commit."""
        return any(run.header.dirty for run in self.runs)

    @property
    def started_at(self) -> str:
        """Return when the first run started, ISO 8601; empty where there is none."""
        return min((run.header.started_at for run in self.runs), default="")


def count(rows: Iterable[Row], column: int) -> Mapping[Outcome, int]:
    """Count the outcomes in one column, in the order of `Outcome`; tests not planned, and reused cells, are left out."""
    counts = Counter(cell.outcome for row in rows if (cell := row.cells[column]) is not None and not cell.reused_from)
    return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}


def count_reused(rows: Iterable[Row], column: int) -> Mapping[Outcome, int]:
    """Count the outcomes of the reused cells in one column, in the order of `Outcome`."""
    counts = Counter(cell.outcome for row in rows if (cell := row.cells[column]) is not None and cell.reused_from)
    return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}


def _refuse_mixed_commits(runs: list[Run]) -> None:
    for first, second in pairwise(runs):
        if first.header.commit != second.header.commit:
            what = (
                f"is of commit {second.header.commit[:12]}, {first.file} of {first.header.commit[:12]}. "
                "Say --mixed-commits if that is what you want"
            )
            raise RunFileError(second.file or Path(second.header.environment), what)


def matrix_of(loaded: Loaded, *, mixed_commits: bool = False) -> Matrix:
    """Put the runs that were loaded from disk side by side.

    Raises:
        RunFileError: they do not belong together.
    """
    return Matrix.from_runs(loaded.runs, loaded.missing, notes=loaded.notes, mixed_commits=mixed_commits)
