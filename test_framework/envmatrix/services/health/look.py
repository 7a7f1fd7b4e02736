"""Look at environments: start or connect to their services, ping each, and end what was started."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from envmatrix.environments import Environment, ServiceSpec, Source, process_variables
from envmatrix.exceptions import EnvmatrixError, MissingExtraError, ServiceError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.safety.loopback import is_loopback
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.health.comprehensive import check_all
from envmatrix.services.health.judge import Look
from envmatrix.services.health.observer import blindness
from envmatrix.services.kinds.registry import kind_of
from envmatrix.services.supervisor import Owner, SupervisorClient
from envmatrix.services.supervisor.kept import current
from envmatrix.services.supervisor.pings import ping_all
from envmatrix.services.supervisor.service_state import ServiceState, StartReply

_OURS = frozenset({*Source} - {Source.REMOTE, Source.ABSENT})


@contextmanager
def looking_at(
    environments: Sequence[Environment], directory: Path, env_file: Path | None = None, *, comprehensive: bool = False
) -> Iterator[Callable[[], tuple[Look, ...]]]:
    """Give what looks at all environments at once, and tries each service if this is to be comprehensive.

    What `envmatrix up` keeps as it is declared is looked at; what else has to be started for it is started at the first
    look, and ended at the exit.
    """
    # On Ctrl-C the stack ends what was started, and by that the threads of the pool, which is left after it.
    with ThreadPoolExecutor(max_workers=len(environments)) as pool, ExitStack() as stack:
        starts: list[Callable[[Iterable[str]], StartReply] | None] = []
        for environment in environments:
            start = None
            if kept := current(environment, process_variables(env_file)):
                start = kept.client.start
            elif environment.twin or any(spec.source in _OURS for spec in environment.services.values()):
                owner = stack.enter_context(closing(Owner()))
                start = SupervisorClient(owner.run_dir, environment.name, directory, env_file, environment).start
            starts.append(start)

        def look() -> tuple[Look, ...]:
            looks = pool.map(partial(_look, comprehensive=comprehensive), environments, starts)
            return tuple(_unless_blind(list(looks)))

        yield look


def _look(
    environment: Environment, start: Callable[[Iterable[str]], StartReply] | None, *, comprehensive: bool
) -> Look:
    """Start what is to be started, and ping each service once; three times where it fails at once."""
    states: Mapping[str, ServiceState] = {}
    label = environment.label
    if start is not None:
        wanted = environment.closure(frozenset(environment.services))
        try:
            reply = start(wanted)
        except EnvmatrixError as error:
            return Look(environment, label, failure=MASKER.mask(str(error)))
        if environment.twin and wanted and reply.environment is None:  # each service would tell the same
            return Look(environment, label, failure=reply.states[min(wanted)].as_error().end)
        environment, states = reply.environment or environment, reply.states
    reached: dict[str, tuple[ServiceSpec, Endpoint]] = {}
    pings: dict[str, Ping] = {}
    unseen: dict[str, str] = {}
    for name, spec in environment.services.items():
        try:
            if spec.source is not Source.ABSENT:
                reached[name] = (spec, _endpoint(spec, states.get(name)))
        except MissingExtraError as error:
            unseen[name] = str(error)
        except EnvmatrixError as error:
            why = error.end if isinstance(error, ServiceError) else error.message
            pings[name] = Ping(service=name, status=PingStatus.DOWN, detail=MASKER.mask(why))
    pings |= ping_all(reached, 1)
    up = {name: endpoint for name, (_, endpoint) in reached.items() if pings[name].is_up}
    return Look(environment, label, pings, unseen, checks=check_all(environment, up) if comprehensive else ())


def _endpoint(spec: ServiceSpec, state: ServiceState | None) -> Endpoint:
    """Return where a service is.

    Raises:
        EnvmatrixError: it did not start, or what is declared leads nowhere.
    """
    if state is not None and state.endpoint is not None and (state.is_up or spec.has_address):
        return state.endpoint
    if state is None or spec.source is Source.REMOTE:  # looked at here even if it failed there: a ping tells more
        return kind_of(spec).connect(spec, spec.url.get_secret_value() if spec.url else "")
    raise state.as_error()


def _unless_blind(looks: Sequence[Look]) -> Iterator[Look]:
    """Yield the looks; where this machine reaches no other, what it saw of others is unseen."""
    hosts = {look.label: dict(_other_machines(look)) for look in looks}
    failed = all(look.pings[name].status is PingStatus.DOWN for look in looks for name in hosts[look.label])
    blind = blindness({host for named in hosts.values() for host in named.values()}) if failed else None
    for look in looks:
        others = hosts[look.label] if blind else {}
        pings = {name: ping for name, ping in look.pings.items() if name not in others}
        reasons = {name: f"this machine cannot see {host}: {blind}" for name, host in others.items()}
        yield replace(look, pings=pings, unseen={**look.unseen, **reasons})


def _other_machines(look: Look) -> Iterator[tuple[str, str]]:
    """Yield each pinged service that is declared on another machine, with its host."""
    for name in look.pings:
        url = look.environment.services[name].url
        host = urllib.parse.urlsplit(url.get_secret_value()).hostname if url else None
        if host and not is_loopback(host):
            yield name, host
