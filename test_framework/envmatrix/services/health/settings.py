"""Settings of a store against what is declared, and how much of its capacity is in use. Only reads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from envmatrix.environments import ServiceSpec
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.health.checks import DifferenceError, NotSeenError, NotTriedError, tried
from envmatrix.services.health.status import Check
from envmatrix.services.stores import SETTINGS, Settings

_FULL = 0.9
"""Share of a capacity from which it is worth a word."""


def setting_checks(spec: ServiceSpec, endpoint: Endpoint) -> Iterator[Check]:
    """Yield whether a server is configured as declared, and has room left; nothing of one that has no settings."""
    if read := SETTINGS.get(spec.kind):
        seen = functools.cache(functools.partial(_seen, spec, read, endpoint))
        yield tried(spec.name, "settings", lambda: _compare(spec, seen()))
        yield tried(spec.name, "capacity", lambda: _room(seen()))


def _seen(spec: ServiceSpec, read: Callable[[Endpoint], Settings | None], endpoint: Endpoint) -> Settings:
    if (settings := read(endpoint)) is not None:
        return settings
    what = "its user may not read its settings"
    raise NotSeenError(what) if spec.settings else NotTriedError(what)


def _compare(spec: ServiceSpec, seen: Settings) -> str:
    declared = {name.lower(): str(value) for name, value in spec.settings.items()}
    differences = [
        f"{name} is {seen.values.get(name, 'no setting of it')}, declared {value}"
        for name, value in declared.items()
        if seen.values.get(name) != value
    ]
    differences += [f"extension {name} is not installed" for name in spec.extensions if name not in seen.extensions]
    if differences:
        raise DifferenceError("; ".join(differences))
    return ", ".join(f"{name} {seen.values.get(name) or 'none'}" for name in declared or seen.shown)


def _room(seen: Settings) -> str:
    text = ", ".join(f"{used} of {limit} {what}" for what, (used, limit) in seen.used.items())
    if any(used >= _FULL * limit for used, limit in seen.used.values()):
        raise DifferenceError(text)
    return text
