"""The supervisor for workers on other machines: they ask the controller, through its own connection to them.

They share no directory with it, and nothing secret is in a file, an argument or a variable of theirs. What the channels
are is execnet's concern: pytest-xdist connects by it, through ssh or anything else.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterable
from typing import Any

from envmatrix.exceptions import SupervisorError, UnreachableError
from envmatrix.masking import MASKER
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.supervisor.client import SILENCE, SupervisorClient
from envmatrix.services.supervisor.service_state import ServiceState, ServiceStatus, StartReply

_CONNECT = 2.0
"""Seconds for a first connection to where the controller reaches a service."""


class Relay:
    """The controller's side: asks the supervisor what the workers ask, and passes each sign of life on."""

    def __init__(self, client: SupervisorClient) -> None:
        self.refusal = ""
        """Why a worker cannot begin, once one said so."""
        self._client = client
        self._channels: list[Any] = []
        """Held: a channel that nobody holds is closed."""

    def channel(self, gateway: Any) -> Any:
        """Return what a worker behind an execnet gateway is given, to ask through."""
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
                return self._client.start(names, heard=lambda: reply.send(None)).dump()
            case "want":
                self._client.want(names)
                return {}
            case _:
                return self._client.log_tails(names)


class RelayedClient:
    """The worker's side: asks for services as a `SupervisorClient` does, through the channel that it was given."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def start(self, names: Iterable[str]) -> StartReply:
        """Wait until each named service, and each that it references, is up or has failed.

        One that is up and listens where only the controller's machine can connect is failed here, and says so.

        Raises:
            SupervisorError: the supervisor, or the controller, could not be asked.
        """
        wanted = sorted(set(names))
        if not wanted:
            return StartReply()
        reply = StartReply.load(self._ask("start", wanted))
        return reply.model_copy(update={"states": {name: _seen(state) for name, state in reply.states.items()}})

    def want(self, names: Iterable[str]) -> None:
        """Let the services begin to start, and return at once.

        Raises:
            SupervisorError: the controller could not be asked.
        """
        if wanted := sorted(set(names)):
            self._send("want", wanted)

    def refuse(self, why: str) -> None:
        """Say that this worker cannot begin, nor any that took its place."""
        self._send("refuse", [why])

    def log_tails(self, names: Iterable[str]) -> dict[str, str]:
        """Return the end of the log of each service, masked; nothing where there is nobody to ask any more."""
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
            raise SupervisorError(f"said nothing for {SILENCE:g} s, by way of the controller") from None
        except (EOFError, OSError):
            raise SupervisorError("cannot be asked: the controller ended, or its connection") from None
        if "error" in answer:
            raise SupervisorError(*answer["error"])
        return dict(answer)


def _seen(state: ServiceState) -> ServiceState:
    """Return how a service stands as seen from here."""
    why = _unreachable(state.endpoint) if state.endpoint is not None else ""
    if not why:
        return state
    return ServiceState(
        service=state.service, status=ServiceStatus.FAILED, reason=why, error=UnreachableError.__name__, pid=state.pid
    )


def _unreachable(endpoint: Endpoint) -> str:
    """Return why an address of the controller's own machine cannot be used here; empty where it can."""
    if not _is_loopback(endpoint.host):
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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
