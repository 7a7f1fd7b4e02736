"""How long `local` takes from nothing to all services healthy, against its slowest service alone.

Both clocks start with nothing there and count all that it takes: the supervisor's start, imports, servers, and probes
until the last is healthy. A service alone is the only one of its run; what it references is up already, in another run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import tomlkit

from benchmarks.rows import Row, in_turns
from envmatrix.environments import fill, load_environment, read_toml
from envmatrix.environments.references import map_text
from envmatrix.services import Endpoint
from envmatrix.services.supervisor import Owner, SupervisorClient

_DIRECTORY = Path("environments")
_SCRATCH = Path(".envmatrix")
"""In the project, from whose root the commands of services import."""
_ROUNDS = 5


def measure() -> Iterable[Row]:
    """Start everything, and each service alone, in turns."""
    _SCRATCH.mkdir(exist_ok=True)
    # The first start on a machine makes templates, which later ones copy.
    with _running(_DIRECTORY) as endpoints, TemporaryDirectory(dir=_SCRATCH) as scratch:
        alone = {name: _declare_alone(name, endpoints, Path(scratch) / name) for name in sorted(endpoints)}
        medians = in_turns(_ROUNDS, {name: partial(_start, where) for name, where in {"": _DIRECTORY, **alone}.items()})
    whole = medians.pop("")
    slowest = max(medians, key=medians.__getitem__)
    goal = "at most 1.5 x"
    yield Row("local, from nothing to healthy", whole, f"{slowest} alone", medians[slowest], goal=goal, samples=_ROUNDS)


def _declare_alone(name: str, endpoints: Mapping[str, Endpoint], directory: Path) -> Path:
    """Declare one service of `local` with the addresses of those that it references; return the directory."""

    def lookup(service: str, field: str) -> str:
        if service in endpoints and service != name:
            return endpoints[service].field(field)
        return f"{{{service}.{field}}}" if field else f"{{{service}}}"

    table = read_toml(_DIRECTORY / "local.toml").data["services"][name]
    directory.mkdir()
    text = tomlkit.dumps({"services": {name: map_text(table, lambda text: fill(text, lookup))}})
    (directory / "local.toml").write_text(text, encoding="utf-8")
    return directory


def _start(directory: Path) -> float:
    """Return the seconds from nothing until all services of a declaration are healthy."""
    began = time.perf_counter()
    with _running(directory):
        return time.perf_counter() - began


@contextmanager
def _running(directory: Path) -> Iterator[Mapping[str, Endpoint]]:
    """Start all services that `local` declares in a directory, and stop them at the end; yield their endpoints."""
    environment = load_environment("local", directory)
    owner = Owner()
    try:
        client = SupervisorClient(owner.run_dir, "local", directory, declared=environment)
        states = client.start(environment.services).states
        for state in states.values():
            if not state.is_up:
                raise state.as_error()
        yield {name: state.endpoint for name, state in states.items() if state.endpoint}
    finally:
        owner.close()
