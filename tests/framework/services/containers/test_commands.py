"""Commands of engines end by their deadlines, and say in one masked line why they failed."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from envmatrix.masking import MASKER
from envmatrix.services.containers.commands import CommandError, Commands
from tests.framework.services.place import eventually, runs


def commands(cwd: Path) -> Commands:
    """What runs commands in a directory."""
    return Commands(cwd, os.environ)


@pytest.mark.fault("canary-secret")
def test_a_failure_is_told_by_its_last_error_and_without_secrets(tmp_path: Path) -> None:
    """Compose prints what it does to the same stream, before and after."""
    MASKER.add("canary-77aa1")
    script = "echo Pulling; echo 'Error: no image canary-77aa1' >&2; echo done >&2; exit 18"
    with pytest.raises(CommandError, match=r"sh ended with exit code 18: Error: no image \*+$") as failure:
        commands(tmp_path).run(["sh", "-c", script], 5)
    assert "canary" not in failure.value.output


def test_a_command_is_ended_with_all_that_it_started_at_its_deadline(tmp_path: Path) -> None:
    """What outlives it and holds its output open keeps nobody waiting."""
    began = time.monotonic()
    with pytest.raises(CommandError, match=r"did not end within 0.2 s"):
        commands(tmp_path).run(["sh", "-c", "sleep 30 & echo $! > pid; sleep 30"], 0.2)
    assert time.monotonic() - began < 5
    child = int((tmp_path / "pid").read_text())
    assert eventually(lambda: not runs(child))


def test_only_a_long_command_is_cut_short_when_everything_is_stopped(tmp_path: Path) -> None:
    """What asks an engine what is to be stopped still gets its answer."""
    stopping = threading.Event()
    stopping.set()
    stopped = Commands(tmp_path, os.environ, stopping)
    with pytest.raises(CommandError, match="was cut short"):
        stopped.run(["sleep", "30"], 60, is_long=True)
    assert stopped.run(["sh", "-c", "sleep 0.15; echo yes"], 5) == "yes\n"


def test_a_command_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """It names the command."""
    with pytest.raises(CommandError, match="no-such-engine ps cannot be run: No such file or directory"):
        commands(tmp_path).run(["no-such-engine", "ps"], 5)
