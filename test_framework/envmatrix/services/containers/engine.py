"""The container engine: docker or podman, asked by its command."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from envmatrix.services.containers.commands import CommandError, Commands, found
from envmatrix.services.containers.container import Container

ENGINES = ("docker", "podman")
QUICK = 10.0
"""Seconds for what takes the engine a tenth of one."""
RUN_LABEL = "io.envmatrix.run"
"""The label of each container that we make, with the name of the run's directory."""
PROJECT_LABEL = "com.docker.compose.project"
"""The label of each container and network of a Compose project, with its name."""

_WATCH = """
"$1" logs --follow --tail 200 "$2" &
code=$("$1" wait "$2")
exit "${code:-125}"
"""
"""Copies a container's log and ends with the container, with its exit code: 125 where the engine does not tell."""

_OF_COMMAND = ("CONTAINER", "DOCKER_", "HOME", "PATH", "TMPDIR", "XDG_")
"""How variables begin that the engine's command itself heeds."""
_TAIL = 'exec "$0" logs --tail 20 "$1" 2>&1'


@dataclass(frozen=True)
class Engine:
    """One container engine."""

    name: str
    """`docker` or `podman`, which is its command, too."""
    commands: Commands

    def containers(self, ids: Iterable[str]) -> list[Container]:
        """Return containers, each as it is now.

        Raises:
            CommandError: one is gone, or the engine does not answer.
        """
        ids = list(ids)
        if not ids:
            return []
        return [Container.read(each) for each in json.loads(self._run("inspect", "--type", "container", *ids))]

    def container(self, identity: str) -> Container:
        """Return a container as it is now.

        Raises:
            CommandError: it is gone, or the engine does not answer.
        """
        return self.containers([identity])[0]

    def ids(self, *filters: str) -> set[str]:
        """Return the ids of all containers to which every filter applies, those that have ended too.

        Raises:
            CommandError: the engine does not answer.
        """
        chosen = [word for each in filters for word in ("--filter", each)]
        return set(self._run("ps", "--all", "--quiet", "--no-trunc", *chosen).split())

    def create(
        self,
        image: str,
        *,
        name: str,
        run: str,
        port: int,
        env: Mapping[str, str],
        command: Sequence[str],
        deadline: float,
    ) -> str:
        """Start a container of an image, its port published on this machine alone; return its id.

        Raises:
            CommandError: it could not be started.
        """
        words = ["run", "--detach", "--name", name, "--label", f"{RUN_LABEL}={run}", "--publish", f"127.0.0.1::{port}"]
        for variable, value in env.items():
            # Without a value the command takes it from its own environment, which others cannot read.
            words += ["--env", f"{variable}={value}" if variable.startswith(_OF_COMMAND) else variable]
        env = {variable: value for variable, value in env.items() if not variable.startswith(_OF_COMMAND)}
        return self.commands.run([self.name, *words, image, *command], deadline, env, is_long=True).split()[-1]

    def start(self, identity: str, deadline: float) -> None:
        """Start a container that has ended.

        Raises:
            CommandError: it could not be started.
        """
        self.commands.run([self.name, "start", identity], deadline, is_long=True)

    def stop(self, ids: Collection[str], grace: int) -> None:
        """Stop containers together, by SIGKILL after `grace` seconds.

        Raises:
            CommandError: the engine does not answer.
        """
        if ids:
            self.commands.run([self.name, "stop", "-t", str(grace), *ids], grace + QUICK)

    def remove(self, ids: Collection[str]) -> None:
        """Remove containers with the volumes that only they have.

        Raises:
            CommandError: the engine does not answer.
        """
        if ids:
            self._run("rm", "--force", "--volumes", *ids)

    def remove_project(self, project: str, pod: str) -> None:
        """Remove the networks, and the pod, of a Compose project that has no container.

        Raises:
            CommandError: the engine does not answer, or they are used by others.
        """
        if pod:
            self._run("pod", "rm", pod)
        if networks := self._run("network", "ls", "--quiet", "--filter", f"label={PROJECT_LABEL}={project}").split():
            self._run("network", "rm", *networks)

    def log_tail(self, identity: str) -> str:
        """Return the end of a container's log.

        Raises:
            CommandError: it is gone, or the engine does not answer.
        """
        return self.commands.run(["/bin/sh", "-c", _TAIL, self.name, identity], QUICK)

    def watch(self, identity: str) -> tuple[str, ...]:
        """Return the command that copies a container's log, and ends with the container, with its exit code."""
        return ("/bin/sh", "-c", _WATCH, "watch", self.name, identity)

    def _run(self, *words: str) -> str:
        return self.commands.run([self.name, *words], QUICK)


def find_engine(wanted: str | None, commands: Commands) -> Engine:
    """Return the engine that is wanted, or else the first that answers.

    Raises:
        CommandError: none does.
    """
    failures = []
    for name in (wanted,) if wanted else ENGINES:
        if found(name) is None:
            failures.append(f"{name} is not installed")
            continue
        try:
            commands.run([name, "version"], QUICK)
        except CommandError as error:
            failures.append(str(error))
        else:
            return Engine(name, commands)
    raise CommandError(("a container engine",), f"is needed: {'; '.join(failures)}")
