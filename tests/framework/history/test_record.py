"""What is recorded, and what stands in its way."""

import fcntl
import multiprocessing
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from envmatrix.exceptions import HistoryError
from envmatrix.history import History, file, forget, remember
from envmatrix.runs.cells import Run
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.run_files import write_run

TEST = "test_a.py::test_one"


def run_of(directory: Path, run_id: str = "one", outcome: Outcome = Outcome.PASSED, **more: object) -> Run:
    """A run of one test, written and read."""
    path = directory / f"{run_id}-{len(list(directory.glob('*.jsonl')))}.jsonl"
    return write_run(path, Attempt(TEST, outcome, 1.5), run_id=run_id, **more)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the history is; its directory is not there yet."""
    return tmp_path / "kept" / "history.sqlite"


def recorded(path: Path) -> list[str]:
    """The ids of all recorded runs."""
    with closing(sqlite3.connect(path)) as connection:
        return [run_id for (run_id,) in connection.execute("SELECT run_id FROM runs ORDER BY id")]


def aside(path: Path) -> list[Path]:
    """What was set aside."""
    return sorted(path.parent.glob(f"{path.name}.corrupt-*"))


def test_every_run_is_recorded_once(tmp_path: Path, path: Path) -> None:
    """The same run again does nothing; another one of the same environment is another run."""
    one, two = run_of(tmp_path, "one"), run_of(tmp_path, "two")
    assert [remember(path, [one]), remember(path, [one, two]), remember(path, [one])] == ["", "", ""]
    assert recorded(path) == ["one", "two"]


def test_a_run_that_was_cut_short_is_replaced_once_it_has_ended(tmp_path: Path, path: Path) -> None:
    """And not the other way round."""
    cut, whole = run_of(tmp_path, end=None), run_of(tmp_path)
    for run in (cut, whole, cut):
        assert remember(path, [run]) == ""
    with History(path) as history:
        matrix = history.matrix_of(whole.header.commit)
    assert matrix is not None
    assert matrix.runs[0].complete


def test_a_merge_takes_the_place_of_one_that_lacked_parts(tmp_path: Path, path: Path) -> None:
    """Made of more runs it has another id; counted twice, its tests would weigh double in every rate."""
    assert remember(path, [run_of(tmp_path, "of three", end=None)]) == ""
    assert remember(path, [run_of(tmp_path, "of four")]) == ""
    assert recorded(path) == ["of four"]
    assert remember(path, [run_of(tmp_path, "again")]) == ""
    assert recorded(path) == ["of four", "again"]


def test_a_shard_is_no_run_of_its_own(tmp_path: Path, path: Path) -> None:
    """It is recorded in the run that it is merged into; nothing is made for it alone."""
    run = run_of(tmp_path)
    assert remember(path, [replace(run, header=structs.replace(run.header, shard="1/2"))]) == ""
    assert not path.exists()


def test_any_name_comes_back_as_it_was(tmp_path: Path, path: Path) -> None:
    """Half a surrogate pair, quotes and a NUL too."""
    names = ["\udc80", "it's", 'a"b', "a\0b", "x" * 5000, "'; DROP TABLE runs; --"]
    evidence = Evidence("L401", "\udc80")
    attempts = [Attempt(name, Outcome.FAILED, cause=Cause.LOGIC, evidence=evidence, reason="\udc80") for name in names]
    run = write_run(tmp_path / "r.jsonl", *attempts, label="\udc80")
    assert remember(path, [run]) == ""
    with History(path) as history:
        matrix = history.matrix_of(run.header.commit)
        assert matrix is not None
        assert list(matrix.runs[0].cells) == names
        assert all(history.tests_like(name) == (name,) for name in names)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the write lock, as another process does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.fault("history-locked")
def test_a_locked_history_is_a_warning(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, after a short wait; the file stays as it is, and the next run is recorded."""
    monkeypatch.setattr(file, "WAIT", 0.2)
    assert remember(path, [run_of(tmp_path, "one")]) == ""
    with held(path):
        assert remember(path, [run_of(tmp_path, "two")]) == f"history {path}: not recorded: database is locked"
    assert remember(path, [run_of(tmp_path, "three")]) == ""
    assert recorded(path) == ["one", "three"]
    assert aside(path) == []


@pytest.mark.fault("history-locked")
def test_a_history_that_another_process_is_making_is_waited_for(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment; then it is a warning."""
    monkeypatch.setattr(file, "WAIT", 0.2)
    path.parent.mkdir()
    descriptor = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert remember(path, [run_of(tmp_path)]).endswith("is locked")
    os.close(descriptor)
    assert remember(path, [run_of(tmp_path)]) == ""


def _record_many(directory: str, path: str, number: int) -> None:
    """Record runs one by one, in a process of its own."""
    place = Path(directory) / f"{number}"
    place.mkdir()
    for turn in range(5):
        assert remember(Path(path), [run_of(place, f"{number}-{turn}")]) == ""


@pytest.mark.fault("history-locked")
def test_matrices_at_the_same_time_are_all_recorded(tmp_path: Path, path: Path) -> None:
    """Four processes, none of which found a file: nothing is lost and nothing set aside. Real processes take a second."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_record_many, args=(str(tmp_path), str(path), number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted(recorded(path)) == sorted(f"{number}-{turn}" for number in range(4) for turn in range(5))
    assert aside(path) == []


@pytest.mark.fault("history-locked")
def test_a_history_whose_tables_are_still_in_the_log_is_ours(path: Path) -> None:
    """As while another process, which has just made it, still has it open: it is neither foreign nor set aside."""
    with closing(file.open_for_writing(path)):
        assert not path.read_bytes()[68:72].strip(b"\0")
        assert file.set_aside(path) is None


def _make_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
        connection.commit()


def _make_older(path: Path) -> None:
    _set_version(path, file.SCHEMA - 1)


def _make_newer(path: Path) -> None:
    _set_version(path, file.SCHEMA + 1)


def _set_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")


def _make_text(path: Path) -> None:
    path.write_text("this is no database, and long enough to be read as the header of one " * 50)


def _garble(path: Path) -> None:
    """Overwrite all but the header."""
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\xff" * (len(data) - 100))


def _tear(path: Path) -> None:
    """Overwrite the pages that hold tables, and leave the first."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


@pytest.mark.fault("history-corrupt")
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_garble, "is no history: database disk image is malformed"),
        (_tear, "is damaged: database disk image is malformed"),
        (_make_older, "is of schema 2; this envmatrix reads schema 3"),
    ],
)
def test_what_cannot_be_used_is_set_aside_and_never_deleted(
    tmp_path: Path, path: Path, damage: object, said: str
) -> None:
    """Every byte of it is kept, a fresh history begun, this run in it, and one line says so."""
    assert remember(path, [run_of(tmp_path, "old")]) == ""
    damage(path)  # type: ignore[operator]  # one of the above
    before = path.read_bytes()
    warning = remember(path, [run_of(tmp_path, "new")])
    (kept,) = (each for each in aside(path) if not each.name.endswith(("-wal", "-shm")))
    assert warning == f"history {path} {said}. It is set aside as {kept.name}, and a fresh one begun"
    assert kept.read_bytes() == before
    assert recorded(path) == ["new"]


@pytest.mark.fault("history-corrupt")
def test_what_sqlite_keeps_beside_a_damaged_file_goes_with_it(tmp_path: Path, path: Path) -> None:
    """While another process has it open, its log holds runs: it is neither deleted nor played into the fresh file."""
    assert remember(path, [run_of(tmp_path, "old")]) == ""
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT count(*) FROM runs").fetchone()
        assert remember(path, [run_of(tmp_path, "in-the-log")]) == ""
        log = path.with_name(f"{path.name}-wal").read_bytes()
        assert log
        _garble(path)
        assert "set aside" in remember(path, [run_of(tmp_path, "new")])
        (kept,) = (each for each in aside(path) if each.name.endswith("-wal"))
        assert kept.read_bytes() == log
        assert recorded(path) == ["new"]


@pytest.mark.fault("history-corrupt")
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_make_foreign, "it is no history of ours, and left alone"),
        (_make_text, "it is no history of ours, and left alone"),
        (_make_newer, "it is of schema 4; this envmatrix writes schema 3"),
    ],
)
def test_what_is_not_ours_to_move_stays(tmp_path: Path, path: Path, make: Callable[[Path], None], why: str) -> None:
    """A file of something else, and a history of a newer version: nothing is written into it, and one line says why."""
    if make is _make_newer:
        remember(path, [run_of(tmp_path)])
    path.parent.mkdir(exist_ok=True)
    make(path)
    before = path.read_bytes()
    warning = remember(path, [run_of(tmp_path)])
    assert warning == f"history {path}: not recorded: {why}. Name another file with --history"
    assert path.read_bytes() == before
    assert aside(path) == []


@pytest.mark.fault("history-corrupt")
def test_two_that_find_the_same_damage_set_it_aside_once(tmp_path: Path, path: Path) -> None:
    """The second finds the fresh file, and leaves it alone."""
    remember(path, [run_of(tmp_path)])
    _garble(path)
    assert file.set_aside(path) is not None
    remember(path, [run_of(tmp_path)])
    assert file.set_aside(path) is None
    assert recorded(path) == ["one"]


@pytest.mark.fault("history-corrupt")
def test_what_only_asks_sets_nothing_aside(tmp_path: Path, path: Path) -> None:
    """It says what is wrong; also where the damage is found in the middle of a question."""
    with pytest.raises(HistoryError, match="is missing"):
        History(path)
    path.parent.mkdir()
    _make_text(path)
    with pytest.raises(HistoryError, match="is no history"):
        History(path)
    path.unlink()
    remember(path, [run_of(tmp_path)])
    _tear(path)
    with pytest.raises(HistoryError, match="malformed"), History(path) as history:
        history.cells(TEST)
    assert aside(path) == []
    path.write_bytes(b"")
    with pytest.raises(HistoryError, match="is empty"):
        History(path)


@pytest.mark.fault("disk-full")
def test_a_full_disk_is_a_warning(tmp_path: Path, path: Path) -> None:
    """What was recorded before is still there."""
    big = [Attempt(f"test_a.py::test_{number}", Outcome.PASSED) for number in range(3000)]
    assert remember(path, [run_of(tmp_path, "small")]) == ""
    run = write_run(tmp_path / "big.jsonl", *big, run_id="big")
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from envmatrix.history import remember; from envmatrix.runs.file import read_run\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, {resource.RLIM_INFINITY}))\n"
        "print(remember(Path(sys.argv[1]), [read_run(Path(sys.argv[2]))]))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, str(path), str(run.file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith(f"history {path}: not recorded: "), done.stderr
    assert done.returncode == 0
    assert recorded(path) == ["small"]


def test_a_place_where_nothing_can_be_written_is_a_warning(tmp_path: Path) -> None:
    """A file where the directory should be; a read-only disk says the like."""
    (tmp_path / "file").write_text("")
    assert "not recorded" in remember(tmp_path / "file" / "history.sqlite", [run_of(tmp_path)])
    assert "not recorded" in remember(tmp_path, [run_of(tmp_path)])


def test_forgetting_drops_runs_by_age_and_gives_their_room_back(tmp_path: Path, path: Path) -> None:
    """With their cells and the tests that nobody else knows; what is younger stays."""
    big = [Attempt(f"test_a.py::test_{number}", Outcome.PASSED) for number in range(2000)]
    remember(path, [write_run(tmp_path / "big.jsonl", *big, run_id="old"), run_of(tmp_path, "young")])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE runs SET started_at = '2027-01-02T00:00:00.000+00:00' WHERE run_id = 'young'")
        connection.commit()
    size = path.stat().st_size
    now = datetime(2027, 1, 3, tzinfo=UTC)
    assert forget(path, 2.0, now) == 1
    assert recorded(path) == ["young"]
    assert path.stat().st_size < size / 2
    with History(path) as history:
        assert history.tests_like("") == (TEST,)
    assert forget(path, 2.0, now) == 0
