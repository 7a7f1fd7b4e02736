"""How long `local` takes from nothing to all services healthy, against its slowest single service."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from benchmarks.rows import Row, in_turns
from envmatrix.environments import Environment, load_environment
from envmatrix.services.supervisor import Owner, SupervisorClient

_DIRECTORY = Path("environments")
_ROUNDS = 5


def measure() -> Iterable[Row]:
    """Start everything, and each service alone; what a service references is up before its own clock starts."""
    environment = load_environment("local", _DIRECTORY)
    everything = environment.closure(frozenset(environment.services))
    alone = {name: environment.services[name].references & everything for name in sorted(everything)}
    _start(environment, everything)  # the first start on a machine makes templates, which later ones copy
    candidates = {name: partial(_start, environment, {name}, before=needed) for name, needed in alone.items()}
    medians = in_turns(_ROUNDS, {"": partial(_start, environment, everything), **candidates})
    whole = medians.pop("")
    slowest = max(medians, key=medians.__getitem__)
    goal = "at most 1.5 x"
    yield Row("local, from nothing to healthy", whole, f"{slowest} alone", medians[slowest], goal=goal, samples=_ROUNDS)


def _start(environment: Environment, names: Iterable[str], before: Iterable[str] = ()) -> float:
    """Return the seconds until the services are healthy, the supervisor's own start included unless it runs already."""
    began = time.perf_counter()
    owner = Owner()
    try:
        client = SupervisorClient(owner.run_dir, "local", _DIRECTORY, declared=environment)
        if before:
            client.start(before)
            began = time.perf_counter()
        started = client.start(names)
        elapsed = time.perf_counter() - began
        for state in started.states.values():
            if not state.is_up:
                raise state.as_error()
        return elapsed
    finally:
        owner.close()
