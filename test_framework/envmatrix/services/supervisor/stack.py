"""A stack: the services of one environment, started in the order of their references, everything else at once.

Each service has one thread that brings it up and one slot that all threads see. A slot first gets its address, then is
settled: up or failed. A service whose references change under it (a port was taken, an optional service failed) is
started again with the new ones, so that nobody ever talks to an address that is not ours.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from envmatrix.environments import Environment, ServiceSpec, Source
from envmatrix.exceptions import (
    DependencyError,
    EnvmatrixError,
    IdentityError,
    NotReadyError,
    ServiceError,
    StartError,
    UnreachableError,
)
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.kinds.base import Endpoint, Kind, Launch, StartContext
from envmatrix.services.kinds.registry import get_kind
from envmatrix.services.probes.look import wrong_identity
from envmatrix.services.processes.ports import HOST, answers, free_ports, is_listener
from envmatrix.services.processes.process import ServiceProcess, explain_exit, stop
from envmatrix.services.supervisor.places import Places
from envmatrix.services.supervisor.states import ServiceState, ServiceStatus

_PORTS_TRIED = 3
_REMOTE_PAUSES = (0.1, 0.3)
"""Seconds between the looks at a remote service that does not answer: three in all, never a storm."""
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.02
"""Seconds between two looks at a service that is starting."""
_SHORTEST_LOOK = 0.2
_GRACE = 0.5
"""Seconds for a service that is started again, or failed to start, to stop by itself."""
_MARGIN = 5.0
"""Seconds beyond its own deadlines that a service's thread gets: filling a data directory for the first time takes 3."""
_log = logging.getLogger(__name__)

_References = dict[str, Endpoint | None]
"""What a service was told about each that it references; None stands for absent, and fills with nothing."""


class _PortTakenError(Exception):
    """Somebody else listens on the port we chose."""


class _ReferencesChangedError(Exception):
    """What the service was told about the others is true no more."""


@dataclass
class _Slot:
    """One service on its way up. Written by its own thread alone, until that is overdue."""

    key: str
    """The service's name, with the stack's prefix."""
    spec: ServiceSpec
    began: float
    endpoint: Endpoint | None = None
    """Published as soon as the address is chosen, replaced if that was taken."""
    process: ServiceProcess | None = None
    state_dir: Path | None = None
    due: float = math.inf
    """When its thread must have come further; after that nobody waits for it any more."""
    settled: bool = False
    error: EnvmatrixError | None = None
    start_seconds: float = 0.0

    def state(self, *, stopping: bool) -> ServiceState:
        """Return how it stands now."""
        code = self.process.exit_code() if self.process else None
        status, reason, error, tail = ServiceStatus.UP, "", "", ""
        if not self.settled:
            status = ServiceStatus.STARTING
        elif self.error is not None:
            status, error = ServiceStatus.FAILED, type(self.error).__name__
            reason = self.error.reason if isinstance(self.error, ServiceError) else self.error.message
            tail = self.error.log_tail if isinstance(self.error, ServiceError) else ""
        elif self.process is not None and code is not None:
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
            pid=self.process.identity.pid if self.process else None,
            start_seconds=self.start_seconds,
            log_tail=tail,
        )


class Stack:
    """The services of one environment. Safe to use from several threads; each service is brought up at most once."""

    def __init__(self, environment: Environment, places: Places, prefix: str = "") -> None:
        self.environment = environment
        self._places = places
        self._prefix = prefix
        self._changed = threading.Condition()
        self._slots: dict[str, _Slot] = {}

    def begin(self, names: Iterable[str]) -> frozenset[str]:
        """Begin to start the named services with all that they reference; return the names of these."""
        services = self.environment.services
        wanted = self.environment.closure(frozenset(names))
        with self._changed:
            fresh = [_Slot(self._prefix + name, services[name], time.monotonic()) for name in wanted - {*self._slots}]
            for slot in fresh:
                self._slots[slot.spec.name] = slot
                self._expect(slot)
        if modules := [module for slot in fresh for module in slot.spec.preload]:
            self._places.launcher.preload(modules)
        for slot in fresh:
            threading.Thread(target=self._bring_up, args=(slot,), name=slot.key, daemon=True).start()
        return wanted

    def wait(self, names: Iterable[str]) -> None:
        """Wait until each is up or has failed. Each service's own deadlines bound this, whatever its kind does."""
        waiting = list(names)
        with self._changed:
            while not all(self._slots[name].settled for name in waiting):
                self._give_up_overdue()
                self._changed.wait(0.1)

    def _give_up_overdue(self) -> None:
        """Settle each whose thread hangs: a plugged-in kind may ignore the deadline that it was given."""
        now = time.monotonic()
        for slot in self._slots.values():
            if not slot.settled and slot.due < now:
                why = f"hangs: {_MARGIN:g} s after its deadline its kind {slot.spec.kind!r} has not come back"
                self._settle(slot, NotReadyError(slot.key, why))

    def states(self, names: Iterable[str] | None = None) -> dict[str, ServiceState]:
        """Return how services stand: those named, or all that were begun."""
        stopping = self._places.stopping.is_set()
        chosen = list(self._slots) if names is None else names
        return {self._prefix + name: self._state(name, stopping=stopping) for name in sorted(chosen)}

    def _state(self, name: str, *, stopping: bool) -> ServiceState:
        if slot := self._slots.get(name):
            return slot.state(stopping=stopping)
        return ServiceState(service=self._prefix + name, status=ServiceStatus.ABSENT, reason="is absent by declaration")

    # From here on, what the thread of one service does.

    def _bring_up(self, slot: _Slot) -> None:
        error: EnvmatrixError | None = None
        try:
            kind = get_kind(slot.spec.kind, slot.spec.name)
            if slot.spec.source is Source.REMOTE:
                self._connect(slot, kind)
            else:
                self._start(slot, kind)
        except EnvmatrixError as known:
            error = known
        except Exception as unknown:  # noqa: BLE001  a plugged-in kind may raise anything; the others must go on
            _log.exception("while bringing up %s", slot.key)
            error = StartError(slot.key, f"could not be started: {type(unknown).__name__}: {MASKER.mask(str(unknown))}")
        if error and slot.process:
            stop([slot.process], _GRACE)
        self._settle(slot, error)

    def _settle(self, slot: _Slot, error: EnvmatrixError | None) -> None:
        """Say what became of it, once: who was given up stays so."""
        with self._changed:
            if not slot.settled:
                slot.start_seconds = time.monotonic() - slot.began
                slot.error, slot.settled = error, True
            self._changed.notify_all()

    def _expect(self, slot: _Slot) -> None:
        """Bound the step that begins now."""
        remote = slot.spec.source is Source.REMOTE
        seconds = (len(_REMOTE_PAUSES) + 1) * slot.spec.ping_deadline if remote else slot.spec.start_deadline
        slot.due = time.monotonic() + seconds + _MARGIN

    def _connect(self, slot: _Slot, kind: Kind) -> None:
        """Look at a remote service until it is up, at most three times."""
        spec = slot.spec
        url = spec.url.get_secret_value() if spec.url else ""
        if not url:
            raise UnreachableError(slot.key, "has an empty URL")
        endpoint = self._publish(slot, kind.connect(spec, url))
        ping = kind.ping(spec, endpoint, spec.ping_deadline)
        for pause in _REMOTE_PAUSES:
            if ping.is_up or self._places.stopping.wait(pause):
                break
            ping = kind.ping(spec, endpoint, spec.ping_deadline)
        if not ping.is_up:
            raise _not_up(slot, ping)

    def _start(self, slot: _Slot, kind: Kind) -> None:
        """Start our own process, again when its port or its references change, until it is ready."""
        launches, ports_taken = 0, 0
        while True:
            self._expect(slot)
            slot.state_dir = self._places.run.state(slot.key, launches)
            launches += 1
            try:
                endpoint, launch = self._address(slot, kind, slot.state_dir)
                slot.due = math.inf  # the others have deadlines of their own
                used = self._references(slot)
                self._expect(slot)
                launch = launch or self._command(slot, endpoint, used)
                slot.process = self._places.launcher.start(slot.key, launch)
                self._expect(slot)
                self._await_ready(slot, _Launched(slot.spec, endpoint, slot.process), kind, used)
            except _PortTakenError:
                ports_taken += 1
            except _ReferencesChangedError:
                pass  # each settles once, so this ends
            else:
                return
            tail = slot.process.log_tail() if slot.process else ""
            if slot.process:
                stop([slot.process], _GRACE)
            if ports_taken == _PORTS_TRIED:
                raise StartError(
                    slot.key, f"found {_PORTS_TRIED} free ports taken by others, one after the other", tail
                )

    def _address(self, slot: _Slot, kind: Kind, state_dir: Path) -> tuple[Endpoint, Launch | None]:
        """Choose an address and publish it; return the process too where the kind brings its own."""
        spec = slot.spec
        (port,) = free_ports(1)
        if spec.source is Source.EMBEDDED:
            password = secrets.token_urlsafe(24)
            MASKER.add(password)
            cache = self._places.cache_dir
            context = StartContext(state_dir=state_dir, cache_dir=cache, port=port, password=SecretStr(password))
            launch = kind.launch(spec, context)
            return self._publish(slot, launch.endpoint), launch
        endpoint = kind.connect(spec, kind.address(spec, HOST, port, tls=spec.tls))
        if spec.tls:
            endpoint = endpoint.model_copy(update=vars(self._places.authority.issue(slot.key.replace(":", "-"))))
        return self._publish(slot, endpoint), None

    def _publish(self, slot: _Slot, endpoint: Endpoint) -> Endpoint:
        with self._changed:
            slot.endpoint = endpoint
            self._changed.notify_all()
        return endpoint

    def _command(self, slot: _Slot, endpoint: Endpoint, used: _References) -> Launch:
        def lookup(name: str, field: str) -> str:
            if field == "state_dir":
                return str(self._slots[name].state_dir or "") if name in self._slots else ""
            meant = endpoint if name == slot.spec.name else used[name]
            return meant.field(field) if meant else ""

        return self._places.launch(slot.spec, endpoint, self.environment.name, lookup)

    def _references(self, slot: _Slot) -> _References:
        """Wait for what the service references: until it is up, or until its address is known, as declared."""
        with self._changed:
            while (found := self._look(slot, settled=slot.spec.start_after == "ready")) is None:
                self._changed.wait(0.1)
            return found

    def _look(self, slot: _Slot, *, settled: bool) -> _References | None:
        """Return what the service may be told about each that it references; None while that isn't known of one.

        Raises:
            DependencyError: one that is required has failed.
            StartError: everything is being stopped, or this one was given up.
        """
        if self._places.stopping.is_set() or slot.settled:
            raise StartError(slot.key, "was not started: everything is being stopped")
        found: _References = {}
        for name in sorted(slot.spec.references):
            other = self._slots.get(name)
            if other is None or (other.error and not other.spec.is_required):
                found[name] = None
            elif other.error:
                raise DependencyError(slot.key, f"was not started: it references {name!r}, which failed")
            elif other.settled or (other.endpoint and not settled):
                found[name] = other.endpoint
            else:
                return None
        return found

    def _await_ready(self, slot: _Slot, launched: _Launched, kind: Kind, used: _References) -> None:
        """Wait until the service is ready, and so is what it references.

        Raises:
            StartError: its process ended first.
            NotReadyError: the deadline came first.
        """
        pause, ready = _FIRST_PAUSE, False
        while True:
            launched.check_running()
            references = self._look(slot, settled=True)
            if references not in (None, used):
                raise _ReferencesChangedError
            if ready and references is not None:
                return
            began = time.monotonic()
            if not ready and (ready := launched.is_ready(kind)):
                slot.due = math.inf
            # A look may cost more than a pause, and what starts needs the processor too.
            pause = min(max(pause * 1.2, time.monotonic() - began), _LAST_PAUSE)
            self._places.stopping.wait(0 if ready and references is not None else pause)


class _Launched:
    """A process that was started for a service, until the service is ready."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint, process: ServiceProcess) -> None:
        self._spec = spec
        self._endpoint = endpoint
        self._process = process
        self._end = time.monotonic() + spec.start_deadline
        self._listens = False
        self._detail = "its port does not answer"

    def check_running(self) -> None:
        """Notice the process's end.

        Raises:
            StartError: it has ended.
        """
        code = self._process.exit_code()
        if code is None:
            return
        tail = self._process.log_tail()
        if "address already in use" in tail.lower():
            raise _PortTakenError
        raise StartError(self._process.name, f"{explain_exit(code)} before it was ready", tail)

    def is_ready(self, kind: Kind) -> bool:
        """Look once. The port comes first: asking that costs next to nothing.

        Raises:
            NotReadyError: the deadline is over.
            IdentityError: it says that it is somebody else.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            why = f"was not ready within {self._spec.start_deadline:g} s: {self._detail}"
            raise NotReadyError(self._process.name, why, self._process.log_tail())
        if not self._listens:
            if not answers(self._endpoint.host, self._endpoint.port):
                return False
            if not is_listener(self._process.identity.pid, self._endpoint.port):
                raise _PortTakenError
            self._listens = True
        # The last look too gets long enough to see something better than its own time-out.
        ping = kind.ping(self._spec, self._endpoint, min(self._spec.ping_deadline, max(left, _SHORTEST_LOOK)))
        if wrong := wrong_identity(self._spec, ping.identity) if ping.identity else "":
            raise IdentityError(self._process.name, f"is not what was declared: {wrong}")  # and no waiting mends that
        self._detail = ping.detail or f"it is {ping.status}"
        return ping.is_up


def _not_up(slot: _Slot, ping: Ping) -> ServiceError:
    """Say why a remote service that was looked at is not up."""
    if ping.status is PingStatus.DOWN:
        return UnreachableError(slot.key, f"could not be reached: {ping.detail}")
    if wrong_identity(slot.spec, ping.identity):
        return IdentityError(slot.key, f"is not what was declared: {ping.detail}")
    return NotReadyError(slot.key, f"is not ready: {ping.detail}")
