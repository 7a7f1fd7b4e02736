"""Where runs are kept."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from envmatrix.exceptions import RunFileError, UsageError
from envmatrix.masking import MASKER
from envmatrix.matrix.table import matrix_of
from envmatrix.runs.directory import RunDir, last_complete, latest, load_paths, part_of, tail
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Outcome
from envmatrix.runs.shards import Shard
from tests.framework.run_files import write_run

PASSED = Attempt("a.py::x", Outcome.PASSED)
LABELS = {"local": "local", "staging": "staging (twin)"}


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """A directory for two environments, of which none ran yet."""
    return RunDir.create(tmp_path / ".envmatrix/runs", LABELS)


def test_a_directory_is_named_by_time_and_stays_out_of_git(tmp_path: Path, run_dir: RunDir) -> None:
    """Names sort by time; git ignores the whole of it, whatever the project's own .gitignore says."""
    assert run_dir.path.name[:2] == "20"
    assert run_dir.path.name[8] == "T"
    assert (tmp_path / ".envmatrix/.gitignore").read_text() == "*\n"


def test_latest_points_at_the_last_one(tmp_path: Path, run_dir: RunDir) -> None:
    """As soon as it is made, so that a run can be looked at from elsewhere."""
    assert latest(tmp_path / ".envmatrix/runs") == run_dir.path
    newer = RunDir.create(tmp_path / ".envmatrix/runs", LABELS)
    assert latest(tmp_path / ".envmatrix/runs") == newer.path


def test_without_any_run_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    """One line."""
    with pytest.raises(UsageError) as caught:
        latest(tmp_path)
    assert str(caught.value) == f"no run in {tmp_path} yet. Make one: envmatrix matrix"


@pytest.mark.fault("missing-shard")
def test_what_was_asked_for_and_left_no_file_is_missing(run_dir: RunDir) -> None:
    """With its label, what the runner knows, and the end of its log."""
    write_run(run_dir.run_file("local"), PASSED)
    run_dir.log_file("staging").write_text("ERROR: no\n")
    run_dir.write_manifest(LABELS, {"staging": "pytest ended with exit code 4"})
    loaded = run_dir.load()
    assert [run.header.environment for run in loaded.runs] == ["local"]
    (missing,) = loaded.missing
    assert (missing.environment, missing.label) == ("staging", "staging (twin)")
    assert (missing.reason, missing.log_tail) == ("pytest ended with exit code 4", "ERROR: no")


@pytest.mark.fault("missing-shard")
def test_a_damaged_run_is_missing_with_the_damage(run_dir: RunDir) -> None:
    """One unreadable file takes one column, not the matrix."""
    write_run(run_dir.run_file("local"), PASSED)
    run_dir.run_file("staging").write_bytes(b"\x00\n")
    run_dir.run_file("stray").write_bytes(b"")
    missing = {run.environment: run.reason for run in run_dir.load().missing}
    assert missing == {
        "staging": f"{run_dir.run_file('staging')}:1: is no run file: not JSON",
        "stray": f"{run_dir.run_file('stray')}: is empty: the run ended before its tests were collected",
    }


def test_files_put_together_by_hand_need_no_manifest(tmp_path: Path) -> None:
    """A CI job downloads run files into a directory; their names don't matter."""
    write_run(tmp_path / "shard-1.jsonl", PASSED)
    write_run(tmp_path / "shard-2.jsonl", PASSED, environment="staging")
    matrix = matrix_of(load_paths([tmp_path]))
    assert [column.environment for column in matrix.columns] == ["local", "staging"]


def test_files_and_directories_can_be_mixed(tmp_path: Path, run_dir: RunDir) -> None:
    """A run file from elsewhere fills the column that a directory is missing."""
    write_run(run_dir.run_file("local"), PASSED)
    write_run(tmp_path / "downloaded.jsonl", PASSED, environment="staging")
    matrix = matrix_of(load_paths([run_dir.path, tmp_path / "downloaded.jsonl"]))
    assert [len(column.cells) for column in matrix.columns] == [1, 1]


def test_a_note_reaches_its_column(run_dir: RunDir) -> None:
    """What the runner knows about an end stands beside the run."""
    write_run(run_dir.run_file("local"), PASSED, end=None)
    write_run(run_dir.run_file("staging"), PASSED, environment="staging")
    run_dir.write_manifest(LABELS, {"local": "killed by SIGKILL"})
    assert [column.note for column in matrix_of(run_dir.load()).columns] == ["killed by SIGKILL", ""]


ENTRY = b'{"label": "x", "note": ""}'


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is not JSON: Expecting value"),
        (b"\xff", "is not JSON: 'utf-8' codec"),
        (b"[]", "is no manifest of a matrix"),
        (b"{}", "is no manifest of a matrix"),
        (b'{"environments": {"a": 3}}', "is no manifest of a matrix"),
        (b'{"environments": ' * 50_000, "is nested too deeply to be read"),
        (b'{"environments": {' + b", ".join([b'"x": ' + ENTRY] * 200_000) + b"}}", "is larger than 1 MiB"),
        pytest.param(
            b'{"environments": {"../secret": ' + ENTRY + b"}}",
            "'../secret' is no name of an environment",
            marks=pytest.mark.fault("name-as-path"),
        ),
    ],
    ids=lambda value: value[:20],
)
def test_a_damaged_manifest_is_one_line(run_dir: RunDir, content: bytes, what: str) -> None:
    """The error names the file, however it is damaged."""
    (run_dir.path / "matrix.json").write_bytes(content)
    with pytest.raises(RunFileError) as caught:
        run_dir.load()
    assert str(caught.value).startswith(f"{run_dir.path / 'matrix.json'}: {what}")
    assert "\n" not in str(caught.value)


def test_the_manifest_is_whole_or_old(run_dir: RunDir) -> None:
    """It is replaced, never rewritten in place, and leaves no other file."""
    run_dir.write_manifest(LABELS, {"local": "x"})
    assert [path.name for path in run_dir.path.iterdir()] == ["matrix.json"]
    assert json.loads((run_dir.path / "matrix.json").read_text())["environments"]["local"]["note"] == "x"


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    """Nothing to show is an error, not an empty matrix."""
    with pytest.raises(RunFileError) as caught:
        load_paths([tmp_path])
    assert str(caught.value) == f"{tmp_path}: holds no run file"


def test_a_file_that_is_named_and_not_there_is_refused(tmp_path: Path) -> None:
    """One line with what to name."""
    with pytest.raises(UsageError) as caught:
        load_paths([tmp_path / "none.jsonl"])
    assert str(caught.value) == f"no run file {tmp_path / 'none.jsonl'}. Name a .jsonl file or a directory of them"


@pytest.mark.parametrize("name", ["runs of today.zip", "x.tar.gz"])
def test_an_archive_is_to_be_merged_first(tmp_path: Path, name: str) -> None:
    """It says so, with the command to paste; whatever is in it."""
    path = tmp_path / name
    path.write_bytes(b"PK")
    with pytest.raises(UsageError) as caught:
        load_paths([path])
    assert str(caught.value) == f"{path} is an archive. Merge it first: envmatrix merge {shlex.quote(str(path))}"


@pytest.mark.fault("canary-secret")
def test_the_end_of_a_log_is_whole_lines_and_masked(tmp_path: Path) -> None:
    """What pytest printed may hold what the recorder would have masked."""
    MASKER.add("k4nary-in-the-log")
    path = tmp_path / "log"
    path.write_bytes(b"first line that is cut\nwith \xff and k4nary-in-the-log\npassword=hunter22\n")
    assert tail(path, 60) == "with \ufffd and **********\npassword=**********"
    assert tail(path).startswith("first line")
    assert tail(tmp_path / "none") == ""


def test_a_place_where_no_run_can_be_kept_is_one_line(tmp_path: Path) -> None:
    """A file in the way of the directory is a usage error that names the setting."""
    (tmp_path / ".envmatrix").write_text("in the way")
    with pytest.raises(UsageError, match=r"runs cannot be kept in .*: Not a directory\. Name another directory"):
        RunDir.create(tmp_path / ".envmatrix/runs", {"local": "local"})


def test_a_shard_has_a_name_of_its_own(run_dir: RunDir) -> None:
    """So that the files of all can be downloaded into one directory; the name says which it was, whatever is in it."""
    path = run_dir.run_file("local", Shard(2, 4))
    assert path.name == "local.shard-2-of-4.jsonl"
    assert part_of(path.stem) == ("local", Shard(2, 4))
    assert part_of("local") == ("local", None)
    assert part_of("local.shard-5-of-4") == ("local.shard-5-of-4", None)
    path.write_bytes(b"")
    assert (
        "local.shard-2-of-4.jsonl: is empty" in {run.environment: run.reason for run in run_dir.load().missing}["local"]
    )


def test_the_last_complete_run_is_the_newest_that_ended(tmp_path: Path) -> None:
    """One that was killed, is damaged, of a part of the suite or of another environment tells nothing of how long tests take."""
    runs = tmp_path / "runs"
    write_run(runs / "20260101T000000Z-a/local.jsonl", PASSED)
    write_run(runs / "20260102T000000Z-b/local.jsonl", PASSED)
    write_run(runs / "20260103T000000Z-c/local.jsonl", PASSED, end=None)
    write_run(runs / "20260104T000000Z-d/staging.jsonl", PASSED, environment="staging")
    write_run(runs / "20260106T000000Z-f/local.jsonl", PASSED, narrowed=("-k x",))
    (runs / "20260105T000000Z-e").mkdir()
    (runs / "20260105T000000Z-e/local.jsonl").write_bytes(b"?")
    (runs / "latest").symlink_to("20260102T000000Z-b")
    assert last_complete(runs, "local") == runs / "20260102T000000Z-b/local.jsonl"
    assert last_complete(runs, "other") is None


def test_a_directory_of_a_given_name_must_be_new(tmp_path: Path) -> None:
    """Runs are never written among others."""
    assert RunDir.at(tmp_path / "new/merged", LABELS).load().missing
    with pytest.raises(UsageError, match=r"merged is not empty\. Name a new directory"):
        RunDir.at(tmp_path / "new/merged", LABELS)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"runs cannot be kept in .*file: File exists"):
        RunDir.at(tmp_path / "file", LABELS)


@pytest.mark.fault("name-as-path")
def test_a_log_that_is_a_link_is_not_shown(tmp_path: Path, run_dir: RunDir) -> None:
    """Whoever made the directory could have any file of ours printed."""
    (tmp_path / "secret").write_text("precious")
    run_dir.log_file("staging").symlink_to(tmp_path / "secret")
    assert {missing.environment: missing.log_tail for missing in run_dir.load().missing} == {"local": "", "staging": ""}


@pytest.mark.fault("wide-umask")
def test_a_run_can_be_changed_by_us_alone(tmp_path: Path, umask: Callable[[int], object]) -> None:
    """Whatever the umask: what another user may write would be read as our result."""
    umask(0o000)
    run_dir = RunDir.create(tmp_path / ".envmatrix/runs", LABELS)
    write_run(run_dir.run_file("local"), PASSED)
    RunDir.at(tmp_path / "merged", LABELS)
    ours = [run_dir.path, *run_dir.path.iterdir(), *(tmp_path / "merged").iterdir(), tmp_path / "merged"]
    assert [path for path in ours if path.stat().st_mode & 0o022] == []


def test_a_link_in_place_of_the_ignore_file_is_not_followed(tmp_path: Path) -> None:
    """A checkout of somebody else may bring one that leads anywhere."""
    (tmp_path / ".envmatrix").mkdir()
    (tmp_path / ".envmatrix/.gitignore").symlink_to(tmp_path / "elsewhere")
    RunDir.create(tmp_path / ".envmatrix/runs", LABELS)
    assert not (tmp_path / "elsewhere").exists()
