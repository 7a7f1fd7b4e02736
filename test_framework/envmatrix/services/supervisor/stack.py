"""A stack: the services of one environment, started in the order of their references, everything else at once.

Each service has one thread that brings it up and one slot that all threads see. A slot first gets its address, then is
settled: up or failed. A service whose references change (a port was taken, an optional service failed) is started again
with the new ones, so that no service ever talks to an address that is not ours. A declared command that crashes later is
started again at its address, a few times.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace
from pydantic import SecretStr

from envmatrix.environments import CONTAINERS, Environment, Fault, Source
from envmatrix.exceptions import EnvmatrixError, NotReadyError, ServiceError, StartError, UnreachableError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Ping
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.base import Kind, StartContext
from envmatrix.services.kinds.isolation import SharedKind
from envmatrix.services.kinds.part_names import of_run
from envmatrix.services.kinds.registry import kind_of
from envmatrix.services.processes.launch import Launch
from envmatrix.services.processes.ports import HOST, free_port
from envmatrix.services.processes.process import explain_exit, kill_group, stop, was_killed
from envmatrix.services.proxy import ProxyLoop
from envmatrix.services.supervisor.readiness import PortTakenError, StartingProcess, launched, why_not_up
from envmatrix.services.supervisor.references import Endpoints, References, ReferencesChangedError
from envmatrix.services.supervisor.run_context import RunContext
from envmatrix.services.supervisor.service_state import Crash, ServiceState, ServiceStatus
from envmatrix.services.supervisor.slot import Slot

if TYPE_CHECKING:
    from envmatrix.services.containers.container import Container
    from envmatrix.services.supervisor.containers import Containers

_PORTS_TRIED = 3
_REMOTE_PAUSES = (0.1, 0.3)
"""Seconds between the probes of a remote service that does not answer: three in all, never a storm."""
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.02
"""Seconds between two probes of a service that is starting."""
_GRACE = 0.5
"""Seconds for a service that is started again, or failed to start, to stop by itself."""
_MARGIN = 5.0
"""Seconds beyond its own deadlines that a service's thread gets: filling a data directory for the first time takes 3."""
_WATCH = 0.02
"""Seconds between two looks at whether a process has ended: the moment tells whose request it was."""
_WATCH_REQUESTS = 0.2
"""Seconds between two looks at whether a server of ours is to be restarted."""
_RESTARTS = 10
"""How often a crashed service is started again in one run."""
_STARTED_AGAIN = frozenset({Source.PROCESS, *CONTAINERS})
"""The sources of services whose end by themselves is a crash of the product."""
_log = logging.getLogger(__name__)


class Stack:
    """The services of one environment. Safe to use from several threads; each service is brought up at most once."""

    def __init__(self, environment: Environment, context: RunContext, prefix: str = "") -> None:
        self.environment = environment
        self._context = context
        self._prefix = prefix
        self._changed = threading.Condition()
        self._slots: dict[str, Slot] = {}
        self._references = References(self._slots, self._changed, context.stopping)
        self._proxies = ProxyLoop() if environment.variant else None

    @cached_property
    def _containers(self) -> Containers:
        from envmatrix.services.supervisor.containers import Containers  # which few environments have

        return Containers(self.environment.compose, self._context)

    def begin(self, names: Iterable[str]) -> frozenset[str]:
        """Begin to start services with all that they reference; return the names of all."""
        services = self.environment.services
        wanted = self.environment.closure(frozenset(names))
        with self._changed:
            fresh = [
                Slot(self._prefix + name, services[name], time.monotonic())
                for name in self.environment.start_order(wanted)
                if name not in self._slots
            ]
            for slot in fresh:
                self._slots[slot.spec.name] = slot
                self._set_deadline(slot)
        if modules := [module for slot in fresh for module in slot.spec.preload]:
            self._context.launcher.preload(modules)
        for slot in fresh:
            threading.Thread(target=self._bring_up, args=(slot,), name=slot.key, daemon=True).start()
        return wanted

    def wait(self, names: Iterable[str]) -> None:
        """Wait until each is up or has failed; the deadlines of the services bound this."""
        waiting = list(names)
        with self._changed:
            for name in waiting:
                self._note_crash(self._slots[name])
            while not all(self._slots[name].settled for name in waiting):
                self._give_up_overdue()
                self._changed.wait(0.1)

    def _give_up_overdue(self) -> None:
        """Settle each service whose thread hangs: a plugged-in kind may ignore its deadline."""
        now = time.monotonic()
        for slot in self._slots.values():
            if not slot.settled and slot.due < now:
                why = f"hangs: {_MARGIN:g} s after its deadline its kind {slot.spec.kind!r} has not come back"
                self._settle(slot, NotReadyError(slot.key, why))

    def states(self, names: Iterable[str] | None = None) -> dict[str, ServiceState]:
        """Return the states of the named services, or of all that were begun."""
        stopping = self._context.stopping.is_set()
        chosen = list(self._slots) if names is None else names
        return {self._prefix + name: self._state(name, stopping=stopping) for name in sorted(chosen)}

    def _state(self, name: str, *, stopping: bool) -> ServiceState:
        if slot := self._slots.get(name):
            return slot.state(stopping=stopping)
        return ServiceState(service=self._prefix + name, status=ServiceStatus.ABSENT, reason="is absent by declaration")

    def restart(self, name: str) -> None:
        """Start a service of ours again, from the code as it is now; wait until it is up or has failed.

        Raises:
            StartError: it is not ours.
        """
        slot = self._slots[name]
        if slot.spec.source in CONTAINERS:
            raise StartError(slot.key, "runs in a container: bring that up anew, then the environment")
        if slot.spec.source is Source.REMOTE:
            raise StartError(slot.key, "is remote: it can only be restarted where it runs")
        with self._changed:
            slot.spec = slot.spec.model_copy(update={"preload": ()})  # the fork server has the code as it was
            slot.settled, slot.error, slot.began = False, None, time.monotonic()
            self._set_deadline(slot)
        self.wait([name])

    def degrade(self, faults: Mapping[str, Fault]) -> None:
        """Have these services of a variant fail so, and no others."""
        for name, slot in self._slots.items():
            if slot.proxy is not None:
                slot.proxy.set_fault(faults.get(name))

    def drop_parts(self, names: Iterable[str], run: str) -> None:
        """Drop the parts that a run's workers left of remote services, as far as these answer."""
        for name in names:
            slot = self._slots.get(name)
            if slot is None or slot.endpoint is None:
                continue
            kind = kind_of(slot.spec)
            try:
                if isinstance(kind, SharedKind):
                    kind.drop_parts(slot.spec, slot.endpoint, partial(of_run, run=run))
            except Exception as error:  # noqa: BLE001  the next service's are dropped all the same, and a later run sweeps
                _log.warning("parts of %s are left: %s", slot.key, MASKER.mask(str(error)))

    # From here on, what the thread of one service does.

    def _bring_up(self, slot: Slot) -> None:
        steps = {Source.REMOTE: self._connect, **dict.fromkeys(CONTAINERS, self._start_container)}
        self._settle_by(slot, steps.get(slot.spec.source, self._start))
        if slot.spec.source is not Source.REMOTE:
            self._keep_up(slot)

    def _settle_by(self, slot: Slot, step: Callable[[Slot, Kind], None]) -> None:
        """Take the step that brings a service up, and record its result."""
        error: EnvmatrixError | None = None
        try:
            step(slot, kind_of(slot.spec))
        except EnvmatrixError as known:
            error = known
        except Exception as unknown:  # noqa: BLE001  a plugged-in kind may raise anything; the others must go on
            _log.exception("while bringing up %s", slot.key)
            error = StartError(slot.key, f"could not be started: {type(unknown).__name__}: {MASKER.mask(str(unknown))}")
        if error and slot.process:
            stop([slot.process], _GRACE)
        self._settle(slot, error)

    def _settle(self, slot: Slot, error: EnvmatrixError | None) -> None:
        """Record the result of a start, once: a service that was given up stays so."""
        with self._changed:
            if not slot.settled:
                slot.start_seconds = time.monotonic() - slot.began
                slot.error, slot.settled = error, True
                if slot.crashes and slot.crashes[-1].up_again is None and error is None:
                    again = slot.crashes[-1].model_copy(update={"up_again": time.monotonic()})
                    slot.crashes = (*slot.crashes[:-1], again)
            self._changed.notify_all()

    def _keep_up(self, slot: Slot) -> None:
        """Start a process again when it crashes, or on request; one that was killed from outside stays down."""
        pause = _WATCH if slot.spec.source in _STARTED_AGAIN else _WATCH_REQUESTS
        while not self._context.stopping.wait(pause):
            with self._changed:
                self._note_crash(slot)
            if not slot.settled:
                self._settle_by(slot, self._start_again)

    def _note_crash(self, slot: Slot) -> None:
        """Note that the command of a service that was up has ended by itself, or for want of memory.

        Its start begins anew, if not too often.
        """
        is_up = slot.settled and not slot.error and not slot.is_done
        if slot.spec.source not in _STARTED_AGAIN or not is_up or slot.process is None:
            return
        code = slot.process.exit_code()
        out_of_memory = self._is_short_of_memory(slot, has_ended=code is not None)
        if code is None or (was_killed(code) and not out_of_memory) or self._context.stopping.is_set():
            return
        tail = slot.process.log_tail()
        crash = Crash(exit_code=code, ended=time.monotonic(), log_tail=tail, out_of_memory=out_of_memory)
        slot.crashes = (*slot.crashes, crash)
        if len(slot.crashes) > _RESTARTS:
            why = f"{explain_exit(code)}, and had been started again {_RESTARTS} times"
            slot.error = StartError(slot.key, why, crash.log_tail)
        else:
            slot.settled, slot.began = False, time.monotonic()
            self._set_deadline(slot)

    def _is_short_of_memory(self, slot: Slot, *, has_ended: bool) -> bool:
        """Return whether the kernel has just killed for want of memory what runs a service; ask often."""
        if not slot.container:
            return self._context.launcher.memory_killer.was_at_work()
        is_short = self._containers.memory_killer.was_at_work()
        if has_ended and slot.out_of_memory is None:  # its engine is asked once
            slot.out_of_memory = is_short or self._containers.was_out_of_memory(slot.container)
        return bool(slot.out_of_memory)

    def _start_again(self, slot: Slot, kind: Kind) -> None:
        """Start a process at the address that it had, which others were told."""
        if slot.own is None or slot.process is None:
            self._start(slot, kind)
            return
        stop([slot.process], _GRACE)
        kill_group(slot.process)  # what is left of it may hold the port
        if slot.container:
            container = self._containers.await_restart(slot.key, slot.spec, slot.container)
            self._follow(slot, kind, container, self._references.wait(slot))
            return
        try:
            used = self._references.wait(slot)
            launch = slot.launch or self._command(slot, slot.own, used)
            slot.process = self._context.launcher.start(slot.key, launch)
            self._await_ready(slot, launched(slot.spec, slot.own, slot.process), kind, used)
        except (PortTakenError, ReferencesChangedError):
            raise StartError(slot.key, "could not be started again at its address") from None

    def _set_deadline(self, slot: Slot) -> None:
        """Set the deadline of the current start-up step."""
        remote = slot.spec.source is Source.REMOTE
        seconds = (len(_REMOTE_PAUSES) + 1) * slot.spec.ping_deadline if remote else slot.spec.start_deadline
        slot.due = time.monotonic() + seconds + _MARGIN

    def _connect(self, slot: Slot, kind: Kind) -> None:
        """Probe a remote service until it is up, at most three times."""
        spec = slot.spec
        url = spec.url.get_secret_value() if spec.url else ""
        if not url:
            raise UnreachableError(slot.key, "has an empty URL")
        endpoint = self._publish(slot, kind.connect(spec, url))
        ping = kind.ping(spec, endpoint, spec.ping_deadline)
        for pause in _REMOTE_PAUSES:
            if ping.is_up or self._context.stopping.wait(pause):
                break
            ping = kind.ping(spec, endpoint, spec.ping_deadline)
        if not ping.is_up:
            raise why_not_up(slot.key, spec, ping)

    def _start(self, slot: Slot, kind: Kind) -> None:
        """Start our own process, again when its port or its references change, until it is ready."""
        launches, ports_taken = 0, 0
        while True:
            self._set_deadline(slot)
            slot.state_dir = self._context.run.state(slot.key, launches)
            launches += 1
            try:
                endpoint, slot.launch = self._address(slot, kind, slot.state_dir)
                slot.due = math.inf  # the others have deadlines of their own
                used = self._references.wait(slot)
                self._set_deadline(slot)
                launch = slot.launch or self._command(slot, endpoint, used)
                slot.process = self._context.launcher.start(slot.key, launch)
                self._set_deadline(slot)
                self._await_ready(slot, launched(slot.spec, endpoint, slot.process), kind, used)
            except PortTakenError:
                ports_taken += 1
            except ReferencesChangedError:
                pass  # each reference settles once, so this ends
            else:
                return
            tail = slot.process.log_tail() if slot.process else ""
            if slot.process:
                stop([slot.process], _GRACE)
            if ports_taken == _PORTS_TRIED:
                raise StartError(
                    slot.key, f"found {_PORTS_TRIED} free ports taken by others, one after the other", tail
                )

    def _start_container(self, slot: Slot, kind: Kind) -> None:
        """Find or start the container of a service; wait until it is ready."""
        slot.due = math.inf  # the others, and the engine's commands, have deadlines of their own
        used = self._references.wait(slot)
        command, env = self._context.filled(slot.spec, self.environment.declared_name, self._lookup(slot, None, used))
        self._follow(slot, kind, self._containers.bring_up(slot.key, slot.spec, command, env), used)

    def _follow(self, slot: Slot, kind: Kind, container: Container, used: Endpoints) -> None:
        """Watch a container, and wait until it is ready at the address that others were told."""
        endpoint = self._containers.endpoint(slot.key, slot.spec, kind, container)
        slot.container, slot.out_of_memory = container.id, None
        if slot.own not in (None, endpoint):
            raise StartError(slot.key, "could not be started again at its address")
        self._publish(slot, endpoint)
        slot.process = self._context.launcher.start(slot.key, self._containers.watch(endpoint, container))
        self._set_deadline(slot)
        try:
            self._await_ready(slot, launched(slot.spec, endpoint, slot.process), kind, used)
        except ReferencesChangedError:
            raise StartError(slot.key, "was started with an address that has changed since") from None
        except ServiceError as error:
            error.reason += self._containers.told_of(container.id)
            raise

    def explained(self, name: str, ping: Ping) -> Ping:
        """Return the ping of a service that is not up with how its container is."""
        slot = self._slots[name]
        if (ping := slot.corrected(ping)).is_up or not slot.container:
            return ping
        return replace(ping, detail=ping.detail + self._containers.told_of(slot.container))

    def _address(self, slot: Slot, kind: Kind, state_dir: Path) -> tuple[Endpoint, Launch | None]:
        """Choose an address and publish it; return the launch too where the kind makes it."""
        spec = slot.spec
        port = free_port()
        if spec.source is Source.EMBEDDED:
            password = secrets.token_urlsafe(24)
            MASKER.add(password)
            cache = self._context.cache_dir
            context = StartContext(state_dir=state_dir, cache_dir=cache, port=port, password=SecretStr(password))
            launch = kind.launch(spec, context)
            return self._publish(slot, launch.endpoint), launch
        endpoint = kind.connect(spec, kind.address(HOST, port, tls=spec.tls))
        if spec.tls:
            endpoint = endpoint.model_copy(update=vars(self._context.authority.issue(slot.key.replace(":", "-"))))
        return self._publish(slot, endpoint), None

    def _publish(self, slot: Slot, endpoint: Endpoint) -> Endpoint:
        with self._changed:
            slot.publish(endpoint, self._proxies)
            self._changed.notify_all()
        return endpoint

    def _command(self, slot: Slot, endpoint: Endpoint, used: Endpoints) -> Launch:
        lookup = self._lookup(slot, endpoint, used)
        return self._context.launch(slot.spec, endpoint, self.environment.declared_name, lookup)

    def _lookup(self, slot: Slot, endpoint: Endpoint | None, used: Endpoints) -> Callable[[str, str], str]:
        """Return what fills in `{service.field}`; `endpoint` is that of the slot itself."""

        def lookup(name: str, field: str) -> str:
            if field == "state_dir":
                return str(self._slots[name].state_dir or "") if name in self._slots else ""
            target = endpoint if name == slot.spec.name else used[name]
            return target.field(field) if target else ""

        return lookup

    def _await_ready(self, slot: Slot, starting: StartingProcess, kind: Kind, used: Endpoints) -> None:
        """Wait until the service is ready, and so is what it references.

        Raises:
            StartError: its process ended first.
            NotReadyError: the deadline came first.
        """
        pause, ready = _FIRST_PAUSE, False
        while True:
            starting.check_running()
            references = self._references.resolved(slot, settled=True)
            if references not in (None, used):
                raise ReferencesChangedError
            if ready and references is not None:
                return
            began = time.monotonic()
            if not ready and (ready := starting.is_ready(kind)):
                slot.due = math.inf
            # A probe may cost more than a pause, and the starting process needs the processor too.
            pause = min(max(pause * 1.2, time.monotonic() - began), _LAST_PAUSE)
            self._context.stopping.wait(0 if ready and references is not None else pause)
