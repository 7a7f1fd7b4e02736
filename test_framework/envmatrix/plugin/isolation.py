"""The parts of services that belong to this worker alone, as a database of its own, and their reset after each test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock

from envmatrix.contracts import Meaning, services_behind
from envmatrix.environments import Source
from envmatrix.masking import MASKER
from envmatrix.plugin.session import EnvironmentSession
from envmatrix.services import kind_of
from envmatrix.services.kinds.base import Isolated
from envmatrix.services.kinds.left import Left
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory

_MAX_TEXT = 300
"""Characters about one thing that a test left over."""


class Isolation:
    """This worker's parts of services: each is made when it is first asked for, and removed at the end."""

    def __init__(self, session: EnvironmentSession, worker: str, run: SupervisorDirectory | None) -> None:
        """Begin with none; `run` is None for a worker on another machine, whose parts no supervisor could drop."""
        self._session = session
        self._run = run
        self._worker = worker
        self._parts: dict[str, Isolated] = {}
        self._stack = ExitStack()
        self._lock = Lock()

    def of(self, service: str) -> Isolated:
        """Return this worker's part of a service that is up."""
        with self._lock:  # a test may read its services in threads
            if service not in self._parts:
                self._parts[service] = self._made(service)
            return self._parts[service]

    def _made(self, service: str) -> Isolated:
        spec, endpoint = self._session.environment.services[service], self._session.endpoints[service]
        name = self._worker
        if self._run is not None:
            name = f"{self._run.path.name}_{name}"
            if spec.source is Source.REMOTE:
                self._stack.enter_context(_listed(self._run.part(service, self._worker)))
        return self._stack.enter_context(kind_of(spec).isolate(spec, endpoint, name))

    def reset(self, meanings: Iterable[Meaning]) -> tuple[Left, ...]:
        """Empty the parts behind the fields that a test read; return what was left over in them."""
        left_over: list[Left] = []
        for service in sorted(services_behind(meanings, self._session.environment)):
            if (part := self._parts.get(service)) is not None:
                things = part.reset()  # somebody else's kind may return nothing, or texts of its own
                for each in things if isinstance(things, tuple) else ():
                    left = each if isinstance(each, Left) else Left("", place=str(each))
                    left_over.append(replace(left, place=f"{MASKER.mask(left.place)[:_MAX_TEXT]} of {service}"))
        return tuple(left_over)

    def close(self) -> None:
        """Remove the parts."""
        self._stack.close()


@contextmanager
def _listed(file: Path) -> Iterator[None]:
    """Keep a file until a part is dropped, so that the supervisor drops it where we cannot."""
    file.touch()
    yield
    file.unlink(missing_ok=True)
