"""The slot of a service in its stack: how far its start has come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import EnvmatrixError, ServiceError, StartError
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.endpoint import Endpoint, at_port
from envmatrix.services.processes.launch import Launch
from envmatrix.services.processes.process import ServiceProcess, explain_exit
from envmatrix.services.proxy import FaultProxy, ProxyLoop
from envmatrix.services.supervisor.service_state import Crash, ServiceState, ServiceStatus


@dataclass
class Slot:
    """The start of one service. Written by the service's own thread alone, until that is overdue."""

    key: str
    """The service's name, with the stack's prefix."""
    spec: ServiceSpec
    began: float
    own: Endpoint | None = None
    """Where it listens: set as soon as the address is chosen, replaced if that was taken."""
    endpoint: Endpoint | None = None
    """Where others reach it: the same, but in a variant a proxy's port."""
    proxy: FaultProxy | None = None
    """Stands before it in a variant."""
    launch: Launch | None = None
    """Set where the kind made it, rather than a declared command."""
    process: ServiceProcess | None = None
    """What runs it; for a container, what watches it, and ends with it."""
    container: str = ""
    """The id of the container that it runs in."""
    out_of_memory: bool | None = None
    """Whether the container ended for want of memory; None while it runs."""
    state_dir: Path | None = None
    due: float = math.inf
    """The deadline of the current start-up step, on the monotonic clock; after it the service is given up."""
    settled: bool = False
    error: EnvmatrixError | None = None
    crashes: tuple[Crash, ...] = ()
    start_seconds: float = 0.0

    def publish(self, endpoint: Endpoint, proxies: ProxyLoop | None) -> None:
        """Set where the service is; with `proxies`, others find it behind one, unless it is remote."""
        self.own = self.endpoint = endpoint
        if proxies is not None and self.spec.source is not Source.REMOTE and self.spec.has_address:
            paths = frozenset(filter(None, (self.spec.health, self.spec.ready)))
            self.proxy = self.proxy or FaultProxy(proxies, paths)
            self.proxy.lead_to(endpoint.host, endpoint.port)
            self.endpoint = at_port(endpoint, self.proxy.port)

    @property
    def is_done(self) -> bool:
        """Return whether it is a job that has ended well: it has no process any more, and is up."""
        return self.spec.is_job and self.settled and self.error is None

    def corrected(self, ping: Ping) -> Ping:
        """Return a ping of the service; where there is no address to ask, what became of its process decides."""
        if self.spec.has_address or (state := self.state(stopping=False)).is_up:
            return ping
        return replace(ping, status=PingStatus.DOWN, version="", detail=state.reason or f"is {state.status}")

    def state(self, *, stopping: bool) -> ServiceState:
        """Return the current state of the service."""
        code = self.process.exit_code() if self.process else None
        status, reason, error, tail = ServiceStatus.UP, "", "", ""
        if not self.settled:
            status = ServiceStatus.STARTING
        elif self.error is not None:
            status, error = ServiceStatus.FAILED, type(self.error).__name__
            reason = self.error.reason if isinstance(self.error, ServiceError) else self.error.message
            tail = self.error.log_tail if isinstance(self.error, ServiceError) else ""
        elif self.process is not None and code is not None and not self.is_done:
            status, reason, tail = ServiceStatus.STOPPED, explain_exit(code), self.process.log_tail()
            if not stopping:
                status, error = ServiceStatus.FAILED, StartError.__name__
        return ServiceState(
            service=self.key,
            status=status,
            endpoint=self.endpoint if self.error is None else None,
            reason=reason,
            error=error,
            exit_code=code,
            pid=self.process.identity.pid if self.process and not self.is_done else None,
            began=self.began,
            start_seconds=self.start_seconds,
            log_tail=tail,
            crashes=self.crashes,
        )
