"""The containers that a run started, on disk: its supervisor stops them in the end, or a later run in its stead."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import msgspec

from envmatrix.safety.output_files import replacing
from envmatrix.safety.private import write_private
from envmatrix.services.containers.commands import CommandError, Commands
from envmatrix.services.containers.container import Container
from envmatrix.services.containers.engine import PROJECT_LABEL, RUN_LABEL, Engine

_GRACE = 3
"""Seconds from a container's stop signal to SIGKILL; many a server is process 1 there, and then ignores the signal."""
_log = logging.getLogger(__name__)


class Note(msgspec.Struct, frozen=True):
    """Containers of one engine that are to be stopped."""

    engine: str
    run: str = ""
    """Each with this run's label is to be removed."""
    remove: tuple[str, ...] = ()
    """Ids of containers that were not there before, in the order in which they were made."""
    stop: tuple[str, ...] = ()
    """Ids of containers that were there, and had ended."""
    project: str = ""
    """The Compose project whose networks go when no container of it is left."""
    pod: str = ""
    """The pod that goes with them."""

    @classmethod
    def of(cls, engine: str, before: Sequence[Container], after: Iterable[Container], *, is_sure: bool) -> Self:
        """Return what is to be done about the containers of a project that was brought up.

        Unless it `is_sure` that the start is over, each that does not run yet counts as one that will.
        """
        known = {each.name: each for each in before}
        running = {each.id for each in before if each.is_running}
        remove: list[str] = []
        stop: list[str] = []
        project = pod = ""
        for each in sorted(after, key=lambda each: each.created):
            old = known.get(each.name)
            if each.id in running or (is_sure and old is not None and old.started == each.started):
                continue
            (remove if old is None else stop).append(each.id)
            project, pod = each.project, each.pod or pod
        return cls(engine, remove=tuple(remove), stop=tuple(stop), project=project, pod=pod)


class Started:
    """What one run started. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.lock = threading.RLock()
        """Held while containers are started."""
        self._path = path
        self._notes: dict[str, Note] = {}

    def note(self, service: str, note: Note) -> None:
        """Keep what was started for a service, in the place of what was noted for it before."""
        with self.lock:
            self._notes[service] = note
            with replacing(self._path) as fresh:
                write_private(fresh, msgspec.json.encode(list(self._notes.values())).decode())

    def holds(self, container: Container) -> bool:
        """Return whether the run started a container."""
        ids = {each for note in self._notes.values() for each in (*note.remove, *note.stop)}
        return container.id in ids or not container.project


def stop_started(path: Path, commands: Commands) -> bool:
    """Stop the containers that are noted in a file; return whether none of them is left running."""
    try:
        notes = msgspec.json.decode(path.read_bytes(), type=list[Note])
    except (OSError, msgspec.MsgspecError):
        return True  # the file is written whole: there is none
    left = [name for name in {note.engine for note in notes} if not _stop(Engine(name, commands), notes)]
    if not left:
        path.unlink(missing_ok=True)
    return not left


def _stop(engine: Engine, notes: Iterable[Note]) -> bool:
    notes = [note for note in notes if note.engine == engine.name]
    try:
        there = engine.ids()
        # The last made first: podman removes nothing on which another depends.
        remove = [each for note in reversed(notes) for each in reversed(note.remove) if each in there]
        for run in {note.run for note in notes} - {""}:
            remove += engine.ids(f"label={RUN_LABEL}={run}")
        engine.stop([*remove, *(each for note in notes for each in note.stop if each in there)], _GRACE)
        engine.remove(remove)
        for project, pod in {(note.project, note.pod) for note in notes if note.project}:
            if not engine.ids(f"label={PROJECT_LABEL}={project}"):
                engine.remove_project(project, pod)
    except CommandError as error:
        _log.warning("containers are left: %s", error)
        return False
    return True
