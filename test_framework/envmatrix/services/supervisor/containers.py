"""The containers of one environment's services: found or started, reached at their published ports, watched."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from envmatrix.environments import Compose, ServiceSpec, Source
from envmatrix.exceptions import StartError
from envmatrix.masking import MASKER, secrets_among
from envmatrix.services.containers.commands import CommandError, Commands
from envmatrix.services.containers.container import Container
from envmatrix.services.containers.engine import Engine, find_engine
from envmatrix.services.containers.logins import with_login
from envmatrix.services.containers.project import Project
from envmatrix.services.containers.started import Note
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.base import Kind
from envmatrix.services.processes.launch import Launch
from envmatrix.services.processes.memory_killer import MemoryKiller
from envmatrix.services.supervisor.run_context import RunContext

_PAUSE = 0.2
"""Seconds between two looks at whether the engine has started a container again."""


class Containers:
    """The containers of one environment. Safe to use from several threads."""

    def __init__(self, settings: Compose, context: RunContext) -> None:
        self.memory_killer = MemoryKiller(groups=Path(os.devnull))
        """Counts for the whole machine: not every engine tells which of its containers was short of memory."""
        self._settings = settings
        self._context = context
        self._commands = Commands(context.root, context.engine_variables, context.stopping)

    @cached_property
    def _engine(self) -> Engine:
        return find_engine(self._settings.engine, self._commands)

    @cached_property
    def _project(self) -> Project:
        return Project.find(self._settings, self._engine, self._commands)

    def bring_up(self, key: str, spec: ServiceSpec, command: Sequence[str], env: Mapping[str, str]) -> Container:
        """Return the running container of a service, started where it did not run.

        Raises:
            StartError: it could not be started.
        """
        started = self._context.started
        with _start_errors(key):
            if spec.source is Source.COMPOSE:
                container = self._project.bring_up(key, spec.service or spec.name, started, spec.start_deadline)
            else:
                with started.lock:
                    run = self._context.run.path.name
                    started.note(key, Note(self._engine.name, run=run))
                    made = self._engine.create(
                        spec.image or "",
                        name=f"envmatrix-{run}-{key.replace(':', '-')}",
                        run=run,
                        port=spec.port or 0,
                        env=env,
                        command=command,
                        deadline=spec.start_deadline,
                    )
                container = self._engine.container(made)
        MASKER.add_all(secrets_among(container.variables))
        return container

    def await_restart(self, key: str, spec: ServiceSpec, identity: str) -> Container:
        """Return a container that has ended as it runs again: by its engine's policy, or by us where we had started it.

        Raises:
            StartError: it stays as it is.
        """
        end = time.monotonic() + spec.start_deadline
        with _start_errors(key):
            container = self._engine.container(identity)
            if not container.is_running and not container.restarts_itself:
                if not self._context.started.holds(container):
                    raise StartError(
                        key, f"{container.state}; this run had not started it, and does not start it again"
                    )
                self._engine.start(identity, spec.start_deadline)
            while not (container := self._engine.container(identity)).is_running and time.monotonic() < end:
                if self._context.stopping.wait(_PAUSE):
                    break
        return container

    def endpoint(self, key: str, spec: ServiceSpec, kind: Kind, container: Container) -> Endpoint:
        """Return where a service's published port leads, with the login that its image was told to make.

        Raises:
            StartError: the port is not published, or it is not said which one is meant.
        """
        if not container.is_running:
            raise StartError(key, f"has a container that {container.state}", self._log_tail(container))
        if not spec.has_address:
            return kind.connect(spec, kind.address("", 0, tls=False))
        ports = container.ports
        inside = spec.port or (next(iter(ports)) if len(ports) == 1 else 0)
        if ports and not inside:
            raise StartError(
                key, f"publishes the ports {', '.join(map(str, sorted(ports)))}: name the one inside by port"
            )
        if inside not in ports:
            what = f"does not publish its port {inside}" if inside else "publishes no port"
            raise StartError(key, f"{what}: add it to ports in the Compose file")
        host, port = ports[inside]
        return kind.connect(spec, with_login(kind.address(host, port, tls=False), spec.kind, container))

    def watch(self, endpoint: Endpoint, container: Container) -> Launch:
        """Return the process that stands for a container here: it copies its log, and ends with its exit code."""
        return Launch(
            endpoint=endpoint,
            command=self._engine.watch(container.id),
            env=self._context.engine_variables,
            cwd=self._context.root,
        )

    def _log_tail(self, container: Container) -> str:
        try:
            return MASKER.mask(self._engine.log_tail(container.id))
        except CommandError:
            return ""

    def told_of(self, identity: str) -> str:
        """Return the end of a sentence on a container: how it is, where its engine tells."""
        container = self._look(identity)
        return f"; its container {container.name} {container.state}" if container else ""

    def was_out_of_memory(self, identity: str) -> bool:
        """Return whether its engine says that a container ended for want of memory."""
        container = self._look(identity)
        return container is not None and container.out_of_memory

    def _look(self, identity: str) -> Container | None:
        try:
            return self._engine.container(identity)
        except CommandError:
            return None


@contextmanager
def _start_errors(key: str) -> Iterator[None]:
    """Turn the failure of a command into that of the service's start."""
    try:
        yield
    except CommandError as error:
        output = error.output.strip()
        raise StartError(key, f"could not be started: {error}", output if "\n" in output else "") from None
