"""Clean up after runs whose supervisor was killed: kill their processes, remove their directories."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from envmatrix.safety.private import why_not_private
from envmatrix.services.containers.commands import Commands
from envmatrix.services.containers.started import stop_started
from envmatrix.services.processes.process import descendants, kill_all, processes_with
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import MARK, SupervisorDirectory, bases, is_run_name

_UNOWNED = 60.0
"""Seconds from making a run's directory to writing whose it is: a hundredth is usual."""


def sweep(directories: Iterable[Path] | None = None) -> list[Path]:
    """Remove every run below these directories whose owner has ended; return the removed directories.

    A run is left alone while its owner lives, and while its supervisor does: that one cleans up itself.
    """
    removed = []
    for base in bases() if directories is None else directories:
        for run in _abandoned(base):
            remove(run)
            removed.append(run.path)
    return removed


def remove(run: SupervisorDirectory) -> None:
    """Kill what a run left and remove its directory. Only for a run without a living supervisor."""
    kill_all(_left_by(run))
    if not stop_started(run.containers, Commands(Path("/"), os.environ)):
        return  # a later run tries again
    shutil.rmtree(run.path, ignore_errors=True)


def _abandoned(base: Path) -> Iterator[SupervisorDirectory]:
    if why_not_private(base):  # what another user put there would name the processes that we are to kill
        return
    for path in sorted(base.iterdir()):
        run = SupervisorDirectory(path)
        if why_not_private(path):
            continue
        owner, supervisor = ProcessIdentity.read(run.owner), ProcessIdentity.read(run.supervisor)
        is_over = not owner.process() if owner else _never_owned(path)
        if is_over and not (supervisor and supervisor.process()) and not _is_held(run):
            yield run


def _never_owned(path: Path) -> bool:
    """Return whether a directory was made for a run that was killed before it could write whose it is."""
    return is_run_name(path.name) and time.time() - path.stat().st_mtime > _UNOWNED


def _is_held(run: SupervisorDirectory) -> bool:
    """Return whether a process holds the run that is invisible here, as in another container."""
    try:
        with run.owner.open("rb") as record:
            fcntl.flock(record, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _left_by(run: SupervisorDirectory) -> list[psutil.Process]:
    """Return the run's processes: those listed, their descendants, and those that carry its mark."""
    try:
        lines = run.ledger.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    identities = [identity for line in lines if (identity := ProcessIdentity.parse(line))]
    listed = [process for identity in identities if (process := identity.process())]
    below = [child for identity in identities for child in descendants(identity)]
    marked = processes_with(MARK, str(run.path))
    return list({process.pid: process for process in (*listed, *below, *marked)}.values())
