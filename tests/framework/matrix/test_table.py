"""Runs side by side."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from envmatrix.exceptions import RunFileError
from envmatrix.matrix.table import Matrix, count
from envmatrix.runs.cells import MissingRun, Run
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Outcome
from tests.framework.run_files import write_run

GONE = MissingRun("staging", "staging (twin)", "left no run file")


def passed(*tests: str) -> list[Attempt]:
    """Attempts that passed."""
    return [Attempt(test, Outcome.PASSED, 0.1) for test in tests]


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Three environments, of which no two planned the same tests in the same order."""
    return [
        write_run(tmp_path / "l", *passed("b.py::two", "b.py::one", "a.py::x"), environment="local"),
        write_run(tmp_path / "s", *passed("a.py::x", "b.py::one"), environment="staging"),
        write_run(tmp_path / "a", *passed("c.py::y", "b.py::one", "b.py::two"), environment="auth"),
    ]


def test_rows_are_tests_and_columns_environments(runs: list[Run]) -> None:
    """Columns by name, rows by file and then as planned; a test that was not planned somewhere has no cell there."""
    matrix = Matrix.from_runs(runs)
    assert [column.label for column in matrix.columns] == ["auth", "local", "staging"]
    table = {row.test: [cell is not None for cell in row.cells] for row in matrix.rows}
    assert list(table.items()) == [
        ("a.py::x", [False, True, True]),
        ("b.py::one", [True, True, True]),
        ("b.py::two", [True, True, False]),
        ("c.py::y", [True, False, False]),
    ]
    assert {group: len(rows) for group, rows in matrix.groups.items()} == {"a.py": 1, "b.py": 2, "c.py": 1}


def test_the_order_of_the_runs_does_not_matter(runs: list[Run]) -> None:
    """Every permutation gives the same matrix."""
    matrices = [Matrix.from_runs(order) for order in itertools.permutations(runs)]
    assert all(matrix == matrices[0] for matrix in matrices)


planned = st.lists(st.sampled_from([f"{file}.py::{test}" for file in "abc" for test in "xyz"]), unique=True)


@given(st.lists(planned, min_size=2, max_size=4), st.randoms())
def test_the_order_never_matters(
    tmp_path_factory: pytest.TempPathFactory, plans: list[list[str]], random: object
) -> None:
    """Whatever was planned where, a shuffled merge is the same merge."""
    directory = tmp_path_factory.mktemp("runs", numbered=True)
    runs = [
        write_run(directory / str(number), *passed(*plan), environment=f"e{number}")
        for number, plan in enumerate(plans)
    ]
    shuffled = list(runs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis's own random.Random
    assert Matrix.from_runs(shuffled) == Matrix.from_runs(runs)
    assert {row.test for row in Matrix.from_runs(runs).rows} == {test for plan in plans for test in plan}


@pytest.mark.fault("missing-shard")
def test_a_missing_run_is_a_column(runs: list[Run]) -> None:
    """An environment without a run stands in the matrix, with no cells."""
    matrix = Matrix.from_runs(runs[:1], [GONE])
    assert [column.label for column in matrix.columns] == ["local", "staging (twin)"]
    assert all(row.cells[1] is None for row in matrix.rows)


@pytest.mark.fault("duplicate-shard")
def test_the_same_run_twice_is_one(runs: list[Run]) -> None:
    """Two copies of one file make one column."""
    assert Matrix.from_runs([*runs, runs[0]]) == Matrix.from_runs(runs)


@pytest.mark.fault("duplicate-shard")
def test_another_run_of_the_same_environment_is_refused(tmp_path: Path, runs: list[Run]) -> None:
    """Which one counts is not ours to guess: both files are named."""
    other = write_run(tmp_path / "l2", *passed("a.py::x"), environment="local", run_id="another")
    with pytest.raises(RunFileError) as caught:
        Matrix.from_runs([*runs, other])
    assert str(caught.value) == (
        f"{tmp_path / 'l2'}: is another run of 'local' than {tmp_path / 'l'}: one matrix holds one run an environment"
    )


@pytest.mark.fault("duplicate-shard")
def test_shards_side_by_side_are_to_be_merged_first(tmp_path: Path) -> None:
    """They are no two runs of one environment: the error names both parts, and what makes one of them."""
    written = [write_run(tmp_path / f"{part}.jsonl", *passed("a")) for part in "12"]
    shards = [
        replace(run, header=structs.replace(run.header, shard=f"{number}/2"))
        for number, run in enumerate(written, start=1)
    ]
    with pytest.raises(RunFileError) as caught:
        Matrix.from_runs(shards)
    what = f"is shard 2/2 of 'local', {tmp_path}/1.jsonl is shard 1/2. Merge them first: envmatrix merge"
    assert str(caught.value) == f"{tmp_path}/2.jsonl: {what}"


@pytest.mark.fault("mixed-commits")
def test_runs_of_different_commits_are_refused_unless_told(tmp_path: Path, runs: list[Run]) -> None:
    """The error names both files, both commits and the option; with it, both commits are told."""
    other = write_run(tmp_path / "x", *passed("a.py::x"), environment="x", commit="d" * 40)
    with pytest.raises(RunFileError) as caught:
        Matrix.from_runs([other, *runs])
    assert str(caught.value) == (
        f"{tmp_path / 'x'}: is of commit dddddddddddd, {tmp_path / 's'} of cccccccccccc. "
        "Say --mixed-commits if that is what you want"
    )
    assert Matrix.from_runs([other, *runs], mixed_commits=True).commits == ("c" * 40, "d" * 40)


def test_outcomes_are_counted_best_first(tmp_path: Path) -> None:
    """Counts come in the order of the outcomes, none for what did not happen."""
    attempts = [
        Attempt("a.py::1", Outcome.FAILED),
        Attempt("a.py::2", Outcome.SKIPPED),
        Attempt("a.py::3", Outcome.PASSED),
        Attempt("a.py::4", Outcome.PASSED),
    ]
    matrix = Matrix.from_runs([write_run(tmp_path / "r", *attempts)], [GONE])
    assert list(count(matrix.rows, 0).items()) == [(Outcome.PASSED, 2), (Outcome.SKIPPED, 1), (Outcome.FAILED, 1)]
    assert count(matrix.rows, 1) == {}


def test_no_run_at_all_is_an_empty_matrix() -> None:
    """Nothing to show has no commit and no time."""
    matrix = Matrix.from_runs([], [GONE])
    assert (matrix.commits, matrix.started_at, matrix.dirty, matrix.rows) == ((), "", False, ())
