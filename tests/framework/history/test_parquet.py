"""Runs as Parquet: written once, asked together, and read back into SQLite."""

import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from envmatrix.exceptions import HistoryError, UsageError
from envmatrix.history import History, remember
from envmatrix.history.objects import Directory
from envmatrix.history.parquet import ParquetHistory, export, object_name
from envmatrix.history.record import adopt
from envmatrix.history.rows import RunRow, rows_of
from envmatrix.runs.cells import Run
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.samples import HOSTILE
from tests.framework.run_files import write_run

ONE = "test_a.py::test_one"
WRONG = Evidence("L401", "AssertionError: assert 1 == 2", "call", "test_a.py:3")


@pytest.fixture
def place(tmp_path: Path) -> Directory:
    """A directory of runs, whose own name is a pattern and ends a quotation."""
    return Directory(str(tmp_path / "it's [all] runs"))


def run_of(directory: Path, run_id: str, *attempts: Attempt, **more: object) -> Run:
    """A run."""
    (directory / "run.jsonl").unlink(missing_ok=True)
    return write_run(
        directory / "run.jsonl", *(attempts or (Attempt(ONE, Outcome.PASSED, 1.0),)), run_id=run_id, **more
    )


def asked(place: Directory) -> ParquetHistory:
    """What asks all of a place."""
    return ParquetHistory(place, "here")


def test_an_object_is_named_by_date_environment_and_run(tmp_path: Path, place: Directory) -> None:
    """And written once: it never changes afterwards."""
    kept = rows_of(run_of(tmp_path, "20260102-abc", environment="staging+slow"))
    assert export([kept], place) == 1
    (path,) = place.files()
    assert list(place.names()) == ["date=2026-01-02/environment=staging+slow/20260102-abc.parquet"]
    os.utime(path, (1, 1))
    assert export([kept], place) == 0
    assert path.stat().st_mtime == 1
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.fault("name-as-path")
@pytest.mark.parametrize("run_id", ["../../../up", "/root", "", ".", "a/b", "x" * 5000, "\udc80\n"])
def test_a_run_id_is_no_path(run_id: str) -> None:
    """It comes from a file of somebody else."""
    row = RunRow(run_id, "local", "local", "c" * 40, False, "../..", True, "{}")
    name = object_name(row)
    assert name.startswith("date=unknown/environment=local/")
    assert len(Path(name).parts) == 3
    assert len(Path(name).name) == 64 + len(".parquet")
    with pytest.raises(UsageError, match="is no name of an environment"):
        object_name(row._replace(environment="../up"))


def test_a_whole_run_takes_the_place_of_its_incomplete_record(tmp_path: Path, place: Directory) -> None:
    """Of the same id, or, as after a merge that parts were missing from, of the same beginning."""
    cut = rows_of(run_of(tmp_path, "a", end=None))
    whole = rows_of(run_of(tmp_path, "a"))
    other = rows_of(run_of(tmp_path, "b", end=None))
    alone = rows_of(run_of(tmp_path, "c", environment="staging", end=None))
    assert export([cut, alone, other], place) == 3
    with asked(place) as past:
        assert sorted(cell.run_id for cell in past.cells(ONE)) == ["a", "b", "c"]
    assert export([whole], place) == 1
    with asked(place) as past:
        assert sorted(cell.run_id for cell in past.cells(ONE)) == ["a", "c"]


def test_pipelines_that_end_together_lose_nothing(tmp_path: Path, place: Directory) -> None:
    """Eight of them, half of which bring the same run."""
    kept = [rows_of(run_of(tmp_path, f"{number}")) for number in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: export([each], place), kept * 2))
    with asked(place) as past:
        assert sorted(cell.run_id for cell in past.cells(ONE)) == ["0", "1", "2", "3"]
    assert [path.name for path in Path(place.files()[0]).parent.iterdir() if path.name.startswith(".")] == []


def test_what_is_read_back_is_what_was_recorded(tmp_path: Path, place: Directory) -> None:
    """SQLite has the same rows after a way through Parquet, and a second time brings nothing new."""
    failed = Attempt(ONE, Outcome.FAILED, 0.5, cause=Cause.LOGIC, evidence=WRONG, measured={"ms": 1.5})
    runs = [
        run_of(tmp_path, "a", failed, Attempt("b", Outcome.SKIPPED, reason="no redis")),
        run_of(tmp_path, "b", environment="staging", end=None),
        write_run(tmp_path / "empty.jsonl", run_id="none at all", environment="empty"),
    ]
    first, second = tmp_path / "first.sqlite", tmp_path / "second.sqlite"
    assert remember(first, runs) == ""
    with History(first) as past:
        before = list(past.kept_runs())
    assert export(before, place) == 3
    with asked(place) as past:
        assert adopt(second, past.kept_runs) == (3, "")
        assert adopt(second, past.kept_runs) == (0, "")
        assert past.environments == ("empty", "local", "staging")
    with History(second) as past:
        assert sorted(past.kept_runs()) == sorted(before)


@pytest.mark.fault("hostile-test-name")
def test_hostile_names_come_back(tmp_path: Path, place: Directory) -> None:
    """Whatever SQL and Parquet make of them; half a surrogate pair as Python escapes it."""
    names = [*HOSTILE, "'; DROP TABLE runs; --", "\0"]
    attempts = [Attempt(name, Outcome.FAILED, cause=Cause.LOGIC, evidence=WRONG, reason=name) for name in names]
    run = run_of(tmp_path, "a", *attempts)
    export([rows_of(run)], place)
    with asked(place) as past:
        for name in run.cells:
            (cell,) = past.cells(name)
            assert cell.test == name.replace("\udc80", r"\udc80")


def _newer(path: Path) -> None:
    duckdb.sql(f"COPY (SELECT 99 AS schema, * EXCLUDE schema FROM '{path}') TO '{path}.2' (FORMAT parquet)")
    Path(f"{path}.2").replace(path)


def _wrong(path: Path) -> None:
    duckdb.sql(f"COPY (SELECT * REPLACE ('bogus' AS outcome) FROM '{path}') TO '{path}.2' (FORMAT parquet)")
    Path(f"{path}.2").replace(path)


def _foreign(path: Path) -> None:
    duckdb.sql(f"COPY (SELECT 1 AS x) TO '{path}'")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_newer, "is of schema 99; this envmatrix reads schema 1"),
        (_wrong, "cannot be read: 'bogus' is not a valid Outcome"),
        (_foreign, "cannot be read: Binder Error"),
        (lambda path: path.write_bytes(b"PAR1"), "cannot be read: "),
        (lambda path: path.unlink(), "holds no run as Parquet"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, harm: object, said: str) -> None:
    """Also a file that is Parquet, and not ours."""
    place = Directory(str(tmp_path / "runs"))
    export([rows_of(run_of(tmp_path, "a"))], place)
    harm(place.files()[0])  # type: ignore[operator]
    with pytest.raises(HistoryError) as error, asked(place) as past:
        past.cells(ONE)
    assert said in error.value.message
    assert "\n" not in error.value.message


def _half(path: Path) -> None:
    path.write_bytes(b"PAR1")
    raise OSError(28, "No space left on device")


@pytest.mark.fault("disk-full")
def test_a_full_disk_leaves_no_half_of_an_object(tmp_path: Path, place: Directory) -> None:
    """What is there stays whole; one line says why there is not more."""
    export([rows_of(run_of(tmp_path, "small"))], place)
    run = run_of(tmp_path, "big", *(Attempt(f"{os.urandom(20).hex()}", Outcome.PASSED) for _ in range(3000)))
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from envmatrix.history.objects import Directory; from envmatrix.history.parquet import export\n"
        "from envmatrix.history.rows import rows_of; from envmatrix.runs.file import read_run\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, {resource.RLIM_INFINITY}))\n"
        "export([rows_of(read_run(Path(sys.argv[1])))], Directory(sys.argv[2]))"
    )
    ended = subprocess.run(
        [sys.executable, "-B", "-c", program, str(run.file), place._where], capture_output=True, text=True, check=False
    )
    assert "cannot be written: " in ended.stderr.splitlines()[-1]
    with pytest.raises(HistoryError, match="cannot be written: No space left on device"):
        place.put("date=2026-01-02/environment=local/other.parquet", _half)
    (path,) = place.files()
    assert [each.name for each in path.parent.iterdir()] == ["small.parquet"]


def test_a_thousand_runs_are_asked_at_once(tmp_path: Path) -> None:
    """Each in a file of its own, in five environments. Opening a thousand files takes seconds on a busy machine."""
    seed = Directory(str(tmp_path / "seed"))
    export([rows_of(run_of(tmp_path, "seed", *(Attempt(f"test_{n}", Outcome.PASSED, n) for n in range(5))))], seed)
    duckdb.sql(
        "COPY (SELECT n, * REPLACE ('run-' || n AS run_id, 'env' || n % 5 AS environment, lpad(n::VARCHAR, 40, '0') AS commit_id,"
        " strftime(TIMESTAMP '2026-01-01' + INTERVAL (n) HOUR, '%Y-%m-%dT%H:%M:%S.000+00:00') AS started_at,"
        " CASE WHEN test = 'test_3' AND n >= 500 THEN 'failed' ELSE outcome END AS outcome,"
        " CASE WHEN test = 'test_3' AND n >= 500 THEN 'logic' END AS cause)"
        f" FROM '{seed.files()[0]}', range(1000) AS t(n)) TO '{tmp_path / 'many'}' (FORMAT parquet, PARTITION_BY (n))"
    )
    place = Directory(str(tmp_path / "many"))
    assert len(place.files()) == 1000
    with asked(place) as past:
        cells = past.cells("test_3")
        assert len(cells) == 1000
        assert sum(cell.failed for cell in cells) == 500
        assert past.environments == ("env0", "env1", "env2", "env3", "env4")
        assert past.slowest(1) == [("env0", "test_4", 4.0)]
        assert past.matrix_of("7".rjust(40, "0")) is not None
