"""What the stacks of one run share: directories, certificates, and the environment of declared commands."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from envmatrix.environments import ServiceSpec, fill
from envmatrix.git import full_commit
from envmatrix.masking import MASKER, secrets_among
from envmatrix.services.containers.commands import Commands
from envmatrix.services.containers.started import Started, stop_started
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.processes.fork_server import import_path
from envmatrix.services.processes.launch import Launch
from envmatrix.services.processes.supervisor_directory import MARK, SupervisorDirectory, cache_dir

if TYPE_CHECKING:
    from envmatrix.services.processes.certificates import Authority
    from envmatrix.services.processes.process import Launcher

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
"""Variables that a command inherits from the runner, beside the locale: the rest may be secret."""


@dataclass
class RunContext:
    """The context in which the services of a run are started."""

    run: SupervisorDirectory
    root: Path
    """The project's root, where commands run and from which they import."""
    launcher: Launcher
    stopping: threading.Event = field(default_factory=threading.Event)
    variables: Mapping[str, str] = field(default_factory=dict)
    """The process's environment, topped up from an env file."""

    @cached_property
    def authority(self) -> Authority:
        """Return what signs the run's certificates."""
        from envmatrix.services.processes.certificates import Authority

        return Authority(self.run.path / "tls")

    @cached_property
    def cache_dir(self) -> Path:
        """Return the directory that is kept between runs."""
        return cache_dir(self.run)

    @cached_property
    def started(self) -> Started:
        """Return the list of the containers that the run started."""
        return Started(self.run.containers)

    @cached_property
    def engine_variables(self) -> Mapping[str, str]:
        """Return the environment for the commands of containers: without the mark by which a run's processes are found.

        What podman starts to watch over a container may serve others, too; and podman-compose needs no module of ours.
        """
        return {name: value for name, value in self.variables.items() if name not in {MARK, "PYTHONPATH"}}

    def stop_containers(self) -> None:
        """Stop the containers that the run started; a start that is under way was cut short."""
        with self.started.lock:
            stop_started(self.run.containers, Commands(Path("/"), self.engine_variables))

    @cached_property
    def commit(self) -> str:
        """Return the commit under test; `unknown` outside a Git repository."""
        return full_commit(self.root, "HEAD") or "unknown"

    def launch(
        self, spec: ServiceSpec, endpoint: Endpoint, environment: str, lookup: Callable[[str, str], str]
    ) -> Launch:
        """Return the launch of a declared command, every reference in it filled in."""
        command, env = self.filled(spec, environment, lookup)
        return Launch(
            endpoint=endpoint,
            command=command,
            env={**self._base_env(), **env},
            cwd=self.root,
            preload=spec.preload,
        )

    def filled(
        self, spec: ServiceSpec, environment: str, lookup: Callable[[str, str], str]
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return a declared command and its variables, every reference in them filled in."""

        def value_of(name: str, field_name: str) -> str:
            if field_name:
                return lookup(name, field_name)
            return {"python": sys.executable, "environment": environment}.get(name) or self.commit

        env = {name: fill(value.get_secret_value(), value_of) for name, value in spec.env.items()}
        MASKER.add_all(secrets_among(env))
        return tuple(fill(word, value_of) for word in spec.command), env

    def _base_env(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("LC_")}
        # Unbuffered, or the end of the log is lost with the process whose end it would explain.
        return {**inherited, "PYTHONPATH": import_path(self.root), "PYTHONUNBUFFERED": "1"}
