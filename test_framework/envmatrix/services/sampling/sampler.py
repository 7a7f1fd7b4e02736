"""One look after another at the services of an environment and at some processes beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

import psutil

from envmatrix.environments import CONTAINERS
from envmatrix.exceptions import SupervisorError
from envmatrix.runs.events import Sample
from envmatrix.safety.unpatched import REAL
from envmatrix.services.sampling.meter import Meter, tree
from envmatrix.services.sampling.stores import READERS, PostgresReader, RedisReader
from envmatrix.services.supervisor import SupervisorClient
from envmatrix.services.supervisor.service_state import ServiceState


class Sampler:
    """Takes samples. What does not answer, or may not be looked at, is left out of a sample."""

    def __init__(self, client: SupervisorClient, began: float) -> None:
        """Sample what a supervisor runs; `began` is the run's start on the monotonic clock."""
        self._client = client
        self._began = began
        self._meter = Meter()
        self._readers: dict[str, PostgresReader | RedisReader] = {}

    def sample(self, beside: Mapping[str, Iterable[psutil.Process]]) -> Sample:
        """Look once, at other processes, too."""
        at, time = round(REAL.clock() - self._began, 3), round(REAL.date(), 3)
        states: Mapping[str, ServiceState] = {}
        with suppress(SupervisorError):
            states = self._client.states()
        services = {name: tree(state.pid) for name, state in states.items() if state.pid and not _is_container(state)}
        used = self._meter.look({**beside, **services})
        for name, state in states.items():
            used.setdefault(name, {}).update(self._said(name, state))
        return Sample(max(0.0, at), time, {name: rounded for name, each in used.items() if (rounded := _rounded(each))})

    def _said(self, name: str, state: ServiceState) -> dict[str, float]:
        endpoint = state.endpoint
        if endpoint is None or not state.is_up or endpoint.kind not in READERS:
            return {}
        with suppress(Exception):  # a server that is down is what a sample without it says
            return self._readers.setdefault(name, READERS[endpoint.kind]()).read(endpoint)
        return {}

    def close(self) -> None:
        """Close the connections that are kept."""
        for reader in self._readers.values():
            reader.close()


def _is_container(state: ServiceState) -> bool:
    """Return whether a service's process only watches the container that it runs in."""
    return state.endpoint is not None and state.endpoint.source in CONTAINERS


def _rounded(used: Mapping[str, float]) -> dict[str, float]:
    return {str(metric): round(value, 3) for metric, value in used.items()}
