"""The parts of services that belong to this worker alone, as a database of its own, and their reset after each test."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace

from envmatrix.contracts import Meaning, services_behind
from envmatrix.masking import MASKER
from envmatrix.plugin.session import EnvironmentSession
from envmatrix.services import get_kind
from envmatrix.services.kinds.base import Isolated
from envmatrix.services.kinds.left import Left

_MAX_TEXT = 300
"""Characters about one thing that a test left over."""


class Isolation:
    """This worker's parts of services: each is made when it is first asked for, and removed at the end."""

    def __init__(self, session: EnvironmentSession, worker: str) -> None:
        self._session = session
        self._worker = worker
        self._parts: dict[str, Isolated] = {}
        self._stack = ExitStack()

    def of(self, service: str) -> Isolated | None:
        """Return this worker's part of a service; `None` where the service is not up."""
        endpoint = self._session.endpoints.get(service)
        if endpoint is None or not self._session.ping([service])[service].is_up:
            return None
        if service not in self._parts:
            spec = self._session.environment.services[service]
            part = get_kind(spec.kind, service).isolate(spec, endpoint, self._worker)
            self._parts[service] = self._stack.enter_context(part)
        return self._parts[service]

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
