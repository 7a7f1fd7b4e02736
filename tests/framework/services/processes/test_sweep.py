"""What a run left behind is swept by the next one, and nothing else is."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from envmatrix.exceptions import UsageError
from envmatrix.services.processes import supervisor_directory
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory, bases, cache_dir
from envmatrix.services.processes.sweep import sweep
from envmatrix.services.supervisor import Owner
from tests.framework.other_user import as_another_user, common_directory, needs_another_user
from tests.framework.services.place import eventually, runs

GONE = ProcessIdentity(2**22 - 7, 1)
SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that some run started."""
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


def dead_run(base: Path, *processes: ProcessIdentity, owner: ProcessIdentity = GONE) -> Path:
    """A run whose supervisor was killed with its owner."""
    run = SupervisorDirectory.make(base / "run")
    owner.write(run.owner)
    GONE.write(run.supervisor)
    lines = [json.dumps({**asdict(process), "name": "s"}) for process in processes]
    run.ledger.write_text("\n".join([*lines, '{"pid": 1']), encoding="utf-8")
    return run.path


@pytest.mark.fault("supervisor-dead")
def test_the_next_run_kills_what_a_dead_one_listed(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """A run without owner and supervisor is removed with its processes; a line that was cut off does no harm."""
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity
    run = dead_run(tmp_path, identity)
    assert sweep([tmp_path]) == [run]
    assert eventually(lambda: not runs(sleeper.pid))
    assert not run.exists()


@pytest.mark.fault("supervisor-dead")
def test_a_process_that_escaped_its_session_is_known_by_its_mark(tmp_path: Path) -> None:
    """What is not on the list is found by the variable that it inherited."""
    run = dead_run(tmp_path)
    with subprocess.Popen(SLEEP, env={**os.environ, "ENVMATRIX_RUN_DIR": str(run)}, start_new_session=True) as process:
        sweep([tmp_path])
        assert eventually(lambda: not runs(process.pid))


@pytest.mark.fault("pid-reuse")
def test_a_stranger_with_a_listed_number_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """A process that started at another time than the one on the list is somebody else's."""
    run = dead_run(tmp_path, ProcessIdentity(sleeper.pid, 1))
    assert sweep([tmp_path]) == [run]
    assert runs(sleeper.pid)


def test_a_living_run_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """While the owner lives, or a supervisor that will clean up itself, nothing is touched; nor is what is no run."""
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity
    (tmp_path / "something else").mkdir()
    run = dead_run(tmp_path, identity, owner=ProcessIdentity.mine())
    assert sweep([tmp_path]) == []
    GONE.write(SupervisorDirectory(run).owner)
    with SupervisorDirectory(run).owner.open() as record:
        fcntl.flock(record, fcntl.LOCK_EX)
        assert sweep([tmp_path]) == [], "the owner is in another container"
    ProcessIdentity.mine().write(SupervisorDirectory(run).supervisor)
    assert sweep([tmp_path, tmp_path / "no such directory"]) == []
    assert runs(sleeper.pid)


def test_a_run_lives_in_a_private_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new run sweeps first; others may pass through its directory, and neither list nor write it."""
    monkeypatch.setattr(supervisor_directory, "bases", lambda: iter([tmp_path / "base"]))
    owner = Owner()
    assert owner.run_dir.parent == tmp_path / "base"
    assert stat.S_IMODE(owner.run_dir.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)
    owner.close()
    assert not owner.run_dir.exists()


@pytest.mark.fault("planted-run-directory")
def test_a_base_that_others_can_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that somebody prepared for us may be a trap: the next one is used, and without one it is an error."""
    trap = tmp_path / "trap"
    trap.mkdir()
    trap.chmod(0o777)
    monkeypatch.setattr(supervisor_directory, "bases", lambda: iter([trap, tmp_path / "next"]))
    assert SupervisorDirectory.create().path.parent == tmp_path / "next"
    monkeypatch.setattr(supervisor_directory, "bases", lambda: iter([trap]))
    with pytest.raises(UsageError, match=rf"other users can write to {trap}\. .*TMPDIR"):
        SupervisorDirectory.create()


@needs_another_user
@pytest.mark.fault("planted-run-directory")
@pytest.mark.parametrize("depth", ["base", "run"])
def test_what_another_user_planted_kills_nobody(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, depth: str
) -> None:
    """A base or a run of another user is neither read nor removed, and no run is made below it."""
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity
    with common_directory() as common:
        base = common if depth == "run" else common / "envmatrix-0"

        def plant() -> None:
            base.mkdir(exist_ok=True)
            dead_run(base, identity).chmod(0o755)

        assert as_another_user(plant) == "None"
        if depth == "run":
            common.chmod(0o755)
        assert sweep([base]) == []
        assert runs(sleeper.pid)
        monkeypatch.setattr(supervisor_directory, "bases", lambda: iter([base]))
        if depth == "base":
            with pytest.raises(UsageError, match=rf"{base} belongs to the user \d+"):
                Owner()


def test_a_run_that_was_killed_before_it_had_an_owner_is_swept(tmp_path: Path) -> None:
    """Its name and its age tell: a young one is about to get its owner, and what has another name is no run."""
    old, young, damaged, other = (tmp_path / name for name in ("0" * 16, "1" * 16, "2" * 16, "cache"))
    for path in (old, young, damaged, other):
        path.mkdir()
    SupervisorDirectory(damaged).owner.touch()
    for path in (old, damaged, other):
        os.utime(path, (0, 0))
    assert sweep([tmp_path]) == [old, damaged]
    assert sorted(tmp_path.iterdir()) == [young, other]


def test_memory_is_used_only_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it is the temporary directory, or /tmp where a socket's path would be too long there; memory is the last."""
    monkeypatch.setattr(supervisor_directory, "_ROOM", 1 << 80)
    name = f"envmatrix-{os.geteuid()}"
    monkeypatch.setattr(supervisor_directory.tempfile, "tempdir", "/var/tmp")
    assert list(bases())[:2] == [Path("/var/tmp") / name, Path("/tmp") / name]
    monkeypatch.setattr(supervisor_directory.tempfile, "tempdir", "/var/" + 60 * "x")
    assert list(bases())[:1] == [Path("/tmp") / name]


def test_the_cache_stands_beside_the_runs_where_there_is_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that cannot be written to costs speed, not the run."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    run = SupervisorDirectory(tmp_path / "runs" / "r")
    assert cache_dir(run) == tmp_path / "runs" / "cache"


def test_a_cache_that_others_can_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration of a server is copied from it: who may write there would run what he likes as us."""
    (tmp_path / "home" / "envmatrix").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    run = SupervisorDirectory(tmp_path / "runs" / "r")
    assert cache_dir(run) == tmp_path / "home" / "envmatrix"
    (tmp_path / "home").chmod(0o777)
    assert cache_dir(run) == tmp_path / "runs" / "cache"
