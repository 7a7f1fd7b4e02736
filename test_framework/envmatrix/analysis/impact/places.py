"""Environments, as far as impact asks: which files their services begin with, and which service needs which."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_SERVICES = "services"


@dataclass(frozen=True, slots=True)
class Start:
    """A service that an environment starts by a command."""

    service: str
    files: tuple[str, ...]
    """Files of the tree that the command begins with; where none can be seen in it, any code may be its own."""
    command: str
    """As it is declared."""
    by: str
    """What declares it: `local.toml`."""


@dataclass(frozen=True, slots=True)
class Place:
    """One environment."""

    name: str
    files: tuple[str, ...]
    """Its declaration; and that of its twin, where that stands in."""
    starts: tuple[Start, ...] = ()
    references: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Service → those that it is given an address of."""
    providers: Mapping[str, str] = field(default_factory=dict)
    """Capability → the service that has it."""
    unread: str = ""
    """Why its declaration cannot be read."""

    def closure(self, services: Iterable[str]) -> frozenset[str]:
        """Return services with all that they reference, directly or not."""
        found: set[str] = set()
        waiting = list(services)
        while waiting:
            if (service := waiting.pop()) not in found:
                found.add(service)
                waiting.extend(self.references.get(service, ()))
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Touched:
    """What differs between two versions of a declaration."""

    services: frozenset[str] = frozenset()
    """Those of whose table a key differs."""
    whole: str = ""
    """What else differs, which is the whole environment's: `[users]`."""

    @property
    def nothing(self) -> bool:
        """Return whether only layout and comments differ."""
        return not (self.services or self.whole)


def compare_declarations(old: bytes | None, new: bytes | None) -> Touched:
    """Return what differs between two versions of an environment's declaration."""
    if old is None or new is None:
        return Touched(whole="all of it")
    before, after = _tables(old), _tables(new)
    if before is None or after is None:
        return Touched(whole="what cannot be read")
    was, now = before.pop(_SERVICES, {}), after.pop(_SERVICES, {})
    if not isinstance(was, dict) or not isinstance(now, dict):
        return Touched(whole=_SERVICES)
    keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    keys += [f"{_SERVICES}.{name}" for name in sorted(was.keys() ^ now.keys())]
    touched = frozenset(name for name in was.keys() & now.keys() if was[name] != now[name])
    return Touched(touched, ", ".join(keys))


def _tables(source: bytes) -> dict[str, Any] | None:
    try:
        return tomllib.loads(source.decode())
    except (ValueError, RecursionError):
        return None
