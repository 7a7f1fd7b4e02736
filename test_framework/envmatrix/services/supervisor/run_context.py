"""What the stacks of one run share: directories, certificates, and the environment of declared commands."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from envmatrix.environments import Project, ServiceSpec, fill
from envmatrix.git import full_commit
from envmatrix.masking import MASKER, secrets_among
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.processes.fork_server import import_path
from envmatrix.services.processes.launch import Launch
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory, cache_dir

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
    def commit(self) -> str:
        """Return the commit under test; `unknown` outside a Git repository."""
        return full_commit(self.root, "HEAD") or "unknown"

    def launch(
        self, spec: ServiceSpec, endpoint: Endpoint, environment: str, lookup: Callable[[str, str], str]
    ) -> Launch:
        """Return the launch of a declared command, every reference in it filled in."""

        def value_of(name: str, field_name: str) -> str:
            if field_name:
                return lookup(name, field_name)
            return {"python": sys.executable, "environment": environment}.get(name) or self.commit

        env = {name: fill(value.get_secret_value(), value_of) for name, value in spec.env.items()}
        MASKER.add_all(secrets_among(env))
        return Launch(
            endpoint=endpoint,
            command=tuple(fill(word, value_of) for word in spec.command),
            env={**self._base_env(), **env},
            cwd=self.root,
            preload=spec.preload,
        )

    def _base_env(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("LC_")}
        # Unbuffered, or the end of the log is lost with the process whose end it would explain.
        return {**inherited, "PYTHONPATH": import_path(self.root), "PYTHONUNBUFFERED": "1"}


def project_root(directory: Path) -> Path:
    """Return the root of the project around a directory of declarations, else the directory above it.

    Raises:
        DeclarationError: the project's own table is wrong.
    """
    root = Project.find(directory).root
    return root if (root / "pyproject.toml").is_file() else directory.resolve().parent
