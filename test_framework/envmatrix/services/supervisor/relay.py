"""Requests of workers on other machines, relayed by the controller through execnet's channels.

These workers share no directory with the supervisor, and nothing secret is in a file, an argument or a variable there.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import SupervisorError, UnreachableError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Ping
from envmatrix.safety.loopback import is_loopback
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.access import Access, ask_protected
from envmatrix.services.supervisor.client import SILENCE, SupervisorClient
from envmatrix.services.supervisor.pings import ping_all
from envmatrix.services.supervisor.service_state import ServiceState, ServiceStatus, StartReply

_CONNECT = 2.0
"""Seconds for a first connection to a service's endpoint."""


class Relay:
    """The controller's side: passes requests on to the supervisor, and heartbeats back."""

    def __init__(self, client: SupervisorClient) -> None:
        self.refusal = ""
        """The reason why a worker cannot begin; empty while none has reported one."""
        self._client = client
        self._channels: list[Any] = []
        """Referenced, since an unreferenced channel is closed."""

    def channel(self, gateway: Any) -> Any:
        """Return the channel for the requests of a worker behind an execnet gateway."""
        channel = gateway.newchannel()
        channel.setcallback(self._on_request)
        self._channels.append(channel)
        return channel

    def _on_request(self, request: tuple[str, list[str], Any]) -> None:
        # Called in the thread that receives everything, a test's results too: it must not wait.
        do, words, _ = request
        if do == "refuse":
            (self.refusal,) = words
            return
        threading.Thread(target=self._answer, args=request, daemon=True).start()

    def _answer(self, do: str, names: list[str], reply: Any) -> None:
        try:
            try:
                answer = self._ask(do, names, reply)
            except SupervisorError as error:
                answer = {"error": [error.what, error.log_tail]}
            reply.send(answer)
        except OSError:
            return  # the worker went away, which xdist reports

    def _ask(self, do: str, names: list[str], reply: Any) -> dict[str, Any]:
        match do:
            case "start":
                return self._client.start(names, on_heartbeat=lambda: reply.send(None)).dump()
            case "want":
                self._client.want(names)
                return {}
            case _:
                return self._client.log_tails(names)


class RelayedClient:
    """The worker's side: asks for services as a `SupervisorClient` does, through its channel."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def start(self, names: Iterable[str]) -> StartReply:
        """Wait until each named service, and each that it references, is up or has failed.

        A service that only the controller's machine can connect to has failed, and its reason says so.

        Raises:
            SupervisorError: the supervisor, or the controller, could not be asked.
        """
        wanted = sorted(set(names))
        if not wanted:
            return StartReply()
        reply = StartReply.load(self._ask("start", wanted))
        return reply.model_copy(update={"states": {name: _as_reachable(state) for name, state in reply.states.items()}})

    def ping(self, services: Mapping[str, tuple[ServiceSpec, Endpoint]], number: int) -> dict[str, Ping]:
        """Ping services from this machine, as its tests use them."""
        return ping_all(services, number)

    def ask_protected(self, spec: ServiceSpec, endpoint: Endpoint, headers: Mapping[str, str]) -> Access:
        """Request a service's protected path from this machine."""
        return ask_protected(spec, endpoint, headers)

    def want(self, names: Iterable[str]) -> None:
        """Begin to start services, and return at once.

        Raises:
            SupervisorError: the controller could not be asked.
        """
        if wanted := sorted(set(names)):
            self._send("want", wanted)

    def refuse(self, why: str) -> None:
        """Report why this worker cannot begin, nor any that would take its place."""
        self._send("refuse", [why])

    def log_tails(self, names: Iterable[str]) -> dict[str, str]:
        """Return the end of each service's log, masked; nothing if the controller has ended."""
        try:
            tails = self._ask("log_tails", sorted(set(names)))
        except SupervisorError:
            return {}
        return {name: MASKER.mask(tail) for name, tail in tails.items()}

    def _send(self, do: str, words: list[str]) -> Any:
        try:
            reply = self._channel.gateway.newchannel()
            self._channel.send((do, words, reply))
        except OSError:
            raise SupervisorError("cannot be asked: the controller has closed its connection") from None
        return reply

    def _ask(self, do: str, names: list[str]) -> dict[str, Any]:
        reply = self._send(do, names)
        try:
            while (answer := reply.receive(SILENCE)) is None:  # still at work
                pass
        except reply.TimeoutError:
            raise SupervisorError(f"gave no sign of life for {SILENCE:g} s, by way of the controller") from None
        except (EOFError, OSError):
            raise SupervisorError("cannot be asked: the controller ended, or its connection") from None
        if "error" in answer:
            raise SupervisorError(*answer["error"])
        return dict(answer)


def _as_reachable(state: ServiceState) -> ServiceState:
    """Return the state of a service, failed if its endpoint cannot be reached from here."""
    why = _unreachable(state.endpoint) if state.endpoint is not None else ""
    if not why:
        # The crashes' times are of another machine's clock, and the process's id is one of its processes.
        return state.model_copy(update={"crashes": (), "pid": None})
    return ServiceState(service=state.service, status=ServiceStatus.FAILED, reason=why, error=UnreachableError.__name__)


def _unreachable(endpoint: Endpoint) -> str:
    """Return why an endpoint on the controller's machine cannot be reached from here; empty if it can."""
    if not is_loopback(endpoint.host):
        return ""
    try:
        socket.create_connection((endpoint.host, endpoint.port), _CONNECT).close()
    except OSError as error:
        where = f"{endpoint.host}:{endpoint.port}"
        why = (error.strerror or "timeout").lower()
        return (
            f"listens on {where} of the controller's machine, which this worker cannot reach ({why}): forward that port "
            "with ssh, or give workers on other machines an environment whose services are remote"
        )
    return ""
