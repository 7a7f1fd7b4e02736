"""A Compose project, by the `compose` command of its engine: `up` starts what does not run, and touches nothing else.

What runs is asked of the engine, not of Compose: podman-compose prints no JSON, and what runs may differ from the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from envmatrix.environments import Compose
from envmatrix.exceptions import nearest
from envmatrix.services.containers.commands import CommandError, Commands, found
from envmatrix.services.containers.container import Container
from envmatrix.services.containers.engine import PROJECT_LABEL, QUICK, Engine
from envmatrix.services.containers.started import Note, Started

COMPOSE_COMMANDS = {
    "docker": (("docker", "compose"), ("docker-compose",)),
    "podman": (("podman", "compose"), ("podman-compose",)),
}
"""Engine → the commands that may be its Compose, the preferred one first."""
PODMAN_COMPOSE = "podman-compose"


@dataclass
class Project:
    """A Compose project and the command that knows its files."""

    engine: Engine
    commands: Commands
    words: tuple[str, ...]
    """The compose command, with the options that choose files and project."""
    is_podman_compose: bool
    """Whether it is podman-compose, whose `ps` lists what has ended without being asked to."""
    name: str = ""
    """Its name, once a container has told it."""

    @classmethod
    def find(cls, settings: Compose, engine: Engine, commands: Commands) -> Project:
        """Return the project with the first compose command of the engine that answers.

        Raises:
            CommandError: none does.
        """
        options = [word for file in settings.files for word in ("--file", file)]
        options += ["--project-name", settings.project] if settings.project else []
        failures = []
        for words in COMPOSE_COMMANDS[engine.name]:
            path = found(words[0])
            if path is None:
                failures.append(f"{words[0]} is not installed")
                continue
            is_podman_compose = words[0] == PODMAN_COMPOSE
            if words[1:]:  # else it is a program of its own
                try:
                    is_podman_compose = PODMAN_COMPOSE in commands.run([path, *words[1:], "version"], QUICK)
                except CommandError as error:
                    failures.append(str(error))
                    continue
            return cls(engine, commands, (path, *words[1:], *options), is_podman_compose)
        raise CommandError(("a compose command",), f"is needed: {'; '.join(failures)}")

    def containers(self) -> list[Container]:
        """Return the project's containers, those that have ended too.

        Raises:
            CommandError: the file is wrong, or the engine does not answer.
        """
        if self.name:  # the engine answers ten times faster
            return self.engine.containers(self.engine.ids(f"label={PROJECT_LABEL}={self.name}"))
        options = ["ps", "--quiet"] if self.is_podman_compose else ["ps", "--all", "--quiet"]
        containers = self.engine.containers(self._run(options, QUICK).split())
        self.name = containers[0].project if containers else ""
        return containers

    def bring_up(self, key: str, service: str, started: Started, deadline: float) -> Container:
        """Return the running container of a service; start it, with what it depends on, where it does not run.

        `key` is what the start is noted for.

        Raises:
            CommandError: it could not be started.
        """
        with started.lock:  # one at a time: two would make the same container
            before = self.containers()
            container = _of_service(service, before)
            if container is not None and container.is_running:
                return container
            # What runs stays as it is, even where the file has changed since.
            options = ["--no-recreate"] if any(each.is_running for each in before) else []
            try:
                self._run(["up", "--no-start", *options, service], deadline)
                started.note(key, Note.of(self.engine.name, before, self.containers(), is_sure=False))
                self._run(["up", "--detach", *options, service], deadline)
            except CommandError as error:
                raise self._explained(error, service) from None
            finally:
                after = self.containers()
                started.note(key, Note.of(self.engine.name, before, after, is_sure=True))
        container = _of_service(service, after)
        if container is None:
            raise CommandError(self.words[:2], f"started no container of a service {service!r}")
        return container

    def _explained(self, error: CommandError, service: str) -> CommandError:
        """Return a better error where the project has no such service."""
        if self.commands.stopping.is_set():
            return error
        services = self._run(["config", "--services"], QUICK).split()
        if service in services:
            return error
        return CommandError(("the Compose project",), f"has no service {service!r}. {nearest(service, services)}")

    def _run(self, words: list[str], deadline: float) -> str:
        return self.commands.run([*self.words, *words], deadline, is_long=words[0] == "up")


def _of_service(service: str, containers: Sequence[Container]) -> Container | None:
    """Return the container that stands for a service: one that runs, and of those the first."""
    own = (each for each in containers if each.service == service)
    return min(own, key=lambda each: (not each.is_running, each.number), default=None)
