"""Environments that `envmatrix up` leaves running, each found by the record in the private directory of its run.

Nothing else points to a kept environment. Its record says what it was started from: what differs by now makes it stale.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from envmatrix.environments import Environment, declaration_of, project_root
from envmatrix.environments.declaration import read_declaration
from envmatrix.environments.references import substitute
from envmatrix.git import full_commit
from envmatrix.safety.input_files import read_text
from envmatrix.safety.private import why_not_private, write_private
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory, bases
from envmatrix.services.supervisor.client import Owner, SupervisorClient


class Origin(msgspec.Struct, frozen=True):
    """What an environment is started from."""

    declaration: str
    """The path of the declaration, absolute."""
    digest: str
    """Of the declaration, a twin's, all that they extend, and `overrides`, with the variables filled in."""
    commit: str
    python: str
    env_file: str = ""
    """The file that topped up the variables, absolute; empty where there was none."""
    overrides: tuple[str, ...] = ()
    """What `--set` said, as given."""
    variant: str = ""
    """The variant as which it is degraded; empty where it is not."""

    @classmethod
    def of(cls, environment: Environment, variables: Mapping[str, str], env_file: Path | None = None) -> Origin:
        """Return what an environment would be started from now."""
        files = [environment.file, *environment.bases]
        if environment.twin is not None:
            files += read_declaration(environment.file.parent / environment.twin.environment).paths
        texts = [*map(read_text, files), *environment.overrides]
        text = "\0".join(substitute(each, variables) for each in texts)
        return cls(
            declaration=str(environment.file.resolve()),
            digest=hashlib.sha256(text.encode()).hexdigest(),
            commit=full_commit(project_root(environment.file.parent), "HEAD"),
            python=sys.executable,
            env_file=str(env_file.resolve()) if env_file else "",
            overrides=environment.overrides,
            variant=declaration_of(environment.name, environment.file.parent)[1],
        )


@dataclass(frozen=True)
class KeptEnvironment:
    """An environment that runs without the process that started it, or did."""

    run: SupervisorDirectory
    origin: Origin

    @property
    def name(self) -> str:
        """Return the name of the environment."""
        return "+".join(filter(None, (Path(self.origin.declaration).stem, self.origin.variant)))

    @property
    def supervisor(self) -> int | None:
        """Return the id of its supervisor's process; None where that has ended."""
        identity = ProcessIdentity.read(self.run.supervisor)
        return identity.pid if identity and identity.is_running else None

    @property
    def client(self) -> SupervisorClient:
        """Return a client of its supervisor."""
        return SupervisorClient(self.run.path, self.name, Path(self.origin.declaration).parent)

    def why_stale(self, now: Origin) -> str:
        """Return why it is not what would be started now; empty where it is."""
        if self.supervisor is None:
            return "its supervisor has ended"
        if self.origin.overrides != now.overrides:
            return "it was started with other values of --set"
        if self.origin.digest != now.digest:
            return f"{Path(now.declaration).name} has changed, or a variable that it uses"
        if self.origin.commit != now.commit:
            return f"it runs commit {self.origin.commit[:7] or 'unknown'}, and this is {now.commit[:7] or 'unknown'}"
        return f"it runs with {self.origin.python}" if self.origin.python != now.python else ""


def kept_environments() -> Iterator[KeptEnvironment]:
    """Yield every environment that is kept on this machine, whichever project declares it."""
    for base in bases():
        if why_not_private(base):
            continue
        for path in sorted(base.glob("*/kept.json")):
            try:
                if not why_not_private(path.parent):
                    yield KeptEnvironment(
                        SupervisorDirectory(path.parent), msgspec.json.decode(path.read_bytes(), type=Origin)
                    )
            except (OSError, msgspec.MsgspecError):
                continue  # it is going away


def find_kept(declaration: Path, variant: str = "") -> KeptEnvironment | None:
    """Return the environment that is kept of a declaration, or of its variant."""
    sought = (str(declaration.resolve()), variant)
    return next(
        (kept for kept in kept_environments() if (kept.origin.declaration, kept.origin.variant) == sought), None
    )


def kept_as(environment: Environment) -> KeptEnvironment | None:
    """Return the environment as it is kept, in the same variant."""
    return find_kept(*declaration_of(environment.name, environment.file.parent))


def current(environment: Environment, variables: Mapping[str, str]) -> KeptEnvironment | None:
    """Return the environment as it is kept; None where that is not what would be started now."""
    kept = kept_as(environment)
    return None if kept is None or kept.why_stale(Origin.of(environment, variables)) else kept


def record(owner: Owner, origin: Origin) -> KeptEnvironment:
    """Let others find a run that is up, unless another of its declaration has been recorded; return the one that is."""
    kept = KeptEnvironment(SupervisorDirectory(owner.run_dir), origin)
    with _one_at_a_time(kept.run.path.parent):
        if other := find_kept(Path(origin.declaration), origin.variant):
            return other
        write_private(kept.run.kept, msgspec.json.encode(origin).decode())
    return kept


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Hold a directory locked, for as long as a look and a small file take."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
