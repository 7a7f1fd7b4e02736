"""Readiness: whether a process that was started serves its endpoint yet."""

from __future__ import annotations

import time

from envmatrix.environments import CONTAINERS, ServiceSpec
from envmatrix.exceptions import (
    AccessRefusedError,
    IdentityError,
    NotReadyError,
    ServiceError,
    StartError,
    UnreachableError,
)
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.base import Kind
from envmatrix.services.probes.probe import wrong_identity
from envmatrix.services.processes.ports import answers, is_free, is_listener
from envmatrix.services.processes.process import ServiceProcess, explain_exit

_SHORTEST_PROBE = 0.2
"""Seconds that the last probe gets at least, to see something better than its own timeout."""


class PortTakenError(Exception):
    """Another process listens on the port that was chosen."""


class StartingProcess:
    """A service's process, from its start until the service is ready."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint, process: ServiceProcess) -> None:
        self._spec = spec
        self._endpoint = endpoint
        self._process = process
        self._end = time.monotonic() + spec.start_deadline
        self._is_container = spec.source in CONTAINERS
        self._listens = self._is_container  # an engine holds the port from the start
        self._detail = "its port does not answer"

    def check_running(self) -> None:
        """Check that the process still runs.

        Raises:
            PortTakenError: it has ended, and another process holds its port.
            StartError: it has ended.
        """
        code = self._process.exit_code()
        if code is None:
            return
        if not self._is_container and not is_free(self._endpoint.port):
            raise PortTakenError
        raise StartError(self._process.name, f"{explain_exit(code)} before it was ready", self._process.log_tail())

    def is_ready(self, kind: Kind) -> bool:
        """Probe once; first the port, which costs next to nothing.

        Raises:
            NotReadyError: the deadline has passed.
            IdentityError: it is another service than the declared one.
        """
        left = self._time_left()
        if not self._listens:
            if not answers(self._endpoint.host, self._endpoint.port):
                return False
            if not is_listener(self._process.identity.pid, self._endpoint.port):
                raise PortTakenError
            self._listens = True
        ping = kind.ping(self._spec, self._endpoint, min(self._spec.ping_deadline, max(left, _SHORTEST_PROBE)))
        if wrong := wrong_identity(self._spec, ping.identity) if ping.identity else "":
            raise IdentityError(self._process.name, f"is not what was declared: {wrong}")  # and no waiting mends that
        self._detail = ping.detail or f"it is {ping.status}"
        return ping.is_up

    def _time_left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            why = f"was not ready within {self._spec.start_deadline:g} s (start_deadline): {self._detail}"
            raise NotReadyError(self._process.name, why, self._process.log_tail())
        return left


class RunningJob(StartingProcess):
    """A job's process, from its start until it has ended."""

    def check_running(self) -> None:
        """Check nothing: that it ends is what is waited for."""

    def is_ready(self, kind: Kind) -> bool:
        """Return whether it has ended well.

        Raises:
            StartError: it has ended with another exit code than 0.
            NotReadyError: the deadline has passed.
        """
        del kind
        self._detail = "it still runs"
        code = self._process.exit_code()
        if code:
            raise StartError(self._process.name, f"failed: it {explain_exit(code)}", self._process.log_tail())
        return code == 0 or not self._time_left()


class RunningBackground(StartingProcess):
    """A background program's process: that it was started is all that can be seen of its start."""

    def is_ready(self, kind: Kind) -> bool:
        """Return that it is ready: it runs."""
        del kind
        return True


_WAITING = {"job": RunningJob, "background": RunningBackground}
"""Kind → how it is waited for, where its port does not tell."""


def launched(spec: ServiceSpec, endpoint: Endpoint, process: ServiceProcess) -> StartingProcess:
    """Return what waits for a process that was just started."""
    return _WAITING.get(spec.kind, StartingProcess)(spec, endpoint, process)


def why_not_up(key: str, spec: ServiceSpec, ping: Ping) -> ServiceError:
    """Return the error for a remote service that is not up."""
    if ping.status is PingStatus.DOWN:
        return UnreachableError(key, f"could not be reached: {ping.detail}")
    if ping.refused:
        return AccessRefusedError(key, f"refuses what is declared: {ping.detail}")
    if wrong_identity(spec, ping.identity):
        return IdentityError(key, f"is not what was declared: {ping.detail}")
    return NotReadyError(key, f"is not ready: {ping.detail}")
