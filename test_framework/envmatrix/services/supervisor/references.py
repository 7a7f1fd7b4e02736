"""What a service waits for: the services that it references, each with the endpoint that it is to be told."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from envmatrix.exceptions import DependencyError, StartError
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.supervisor.slot import Slot

Endpoints = dict[str, Endpoint | None]
"""The endpoints that a service was started with, by name; None where the referenced service is absent."""


class ReferencesChangedError(Exception):
    """A referenced service has another endpoint than the one that was passed on."""


class References:
    """The references between the slots of one stack."""

    def __init__(self, slots: Mapping[str, Slot], changed: threading.Condition, stopping: threading.Event) -> None:
        self._slots = slots
        self._changed = changed
        self._stopping = stopping

    def wait(self, slot: Slot) -> Endpoints:
        """Wait until the references are up or have an address, as declared; return their endpoints."""
        with self._changed:
            while (endpoints := self.resolved(slot, settled=slot.spec.start_after == "ready")) is None:
                self._changed.wait(0.1)
            return endpoints

    def resolved(self, slot: Slot, *, settled: bool) -> Endpoints | None:
        """Return the endpoints of the references; None while one of them is not known yet.

        Raises:
            DependencyError: one that is required has failed.
            StartError: everything is being stopped, or this one was given up.
        """
        if self._stopping.is_set() or slot.settled:
            raise StartError(slot.key, "was not started: everything is being stopped")
        endpoints: Endpoints = {}
        for name in sorted(slot.spec.references):
            other = self._slots.get(name)
            if other is None or (other.error and not other.spec.is_required):
                endpoints[name] = None
            elif other.error:
                root = self._root(other).state(stopping=False)
                began = "was stopped" if slot.process else "was not started"
                reason = f"{began}: {root.service!r}, which it needs, {root.reason}"
                raise DependencyError(slot.key, reason, root.log_tail)
            elif other.settled or (other.endpoint and not settled):
                endpoints[name] = other.endpoint
            else:
                return None
        return endpoints

    def _root(self, slot: Slot) -> Slot:
        """Return the first failure of the chain that a failed service is part of."""
        while isinstance(slot.error, DependencyError):
            others = (self._slots[name] for name in sorted(slot.spec.references & self._slots.keys()))
            slot = next(each for each in others if each.error and each.spec.is_required)
        return slot
