"""A process is known by its id and its start, whatever happens to the clock."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from envmatrix.services.processes.process_identity import ProcessIdentity


@pytest.mark.fault("clock-step")
@pytest.mark.parametrize("step", [-30.0, 30.0])
def test_a_step_of_the_clock_makes_no_other_process_of_it(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """Psutil's start times move with the wall clock; an identity does not."""
    mine, real = ProcessIdentity.mine(), psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: real(process) + step)
    assert ProcessIdentity.of(os.getpid()) == mine
    assert mine.process() is not None


@pytest.mark.fault("pid-reuse")
def test_another_start_is_another_process() -> None:
    """The next process of the same id is not the same one, nor is one whose start nobody saw."""
    mine = ProcessIdentity.mine()
    other = ProcessIdentity(mine.pid, mine.started + 1)
    assert (mine.is_running, other.is_running, other.process()) == (True, False, None)
    assert ProcessIdentity.of(2**22 - 7) is None
    never = ProcessIdentity.just_started(2**22 - 7)
    assert (never.is_running, never.process()) == (False, None)


def test_a_process_that_nobody_has_waited_for_does_not_run() -> None:
    """It has ended, and only its exit code is left."""
    with subprocess.Popen(["true"]) as child:
        identity = ProcessIdentity.of(child.pid)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert identity is not None
        assert (identity.is_running, identity.process()) == (False, None)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """A file that is missing, cut off or something else holds no identity."""
    path, mine = tmp_path / "owner.json", ProcessIdentity.mine()
    mine.write(path)
    assert ProcessIdentity.read(path) == mine
    assert ProcessIdentity.read(tmp_path / "none") is None
    assert ProcessIdentity.parse('{"pid": 1') is None
    assert ProcessIdentity.parse("[]") is None
