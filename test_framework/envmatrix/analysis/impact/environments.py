"""The facts about environments that impact needs: the files that services start from, and their references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envmatrix.exceptions import DeclarationError
from envmatrix.safety.input_files import parse_toml

_SERVICES = "services"


@dataclass(frozen=True, slots=True)
class ServiceCommand:
    """A service that an environment starts by a command."""

    service: str
    files: tuple[str, ...]
    """Files of the tree that the command starts; if it names none, it may run any code."""
    command: str
    """As it is declared."""
    by: str
    """What declares it: `local.toml`."""


@dataclass(frozen=True, slots=True)
class DeclaredEnvironment:
    """An environment."""

    name: str
    files: tuple[str, ...]
    """Its declaration, that of its twin if the twin stands in, and what they extend."""
    starts: tuple[ServiceCommand, ...] = ()
    references: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Service → the services that it references."""
    providers: Mapping[str, str] = field(default_factory=dict)
    """Capability → the service that has it."""
    given: frozenset[str] = frozenset()
    """Services that its `[pytest]` gives to every test."""
    unread: str = ""
    """Why its declaration cannot be read."""

    def closure(self, services: Iterable[str]) -> frozenset[str]:
        """Return services with all that they reference, directly or not."""
        reached: set[str] = set()
        waiting = list(services)
        while waiting:
            if (service := waiting.pop()) not in reached:
                reached.add(service)
                waiting.extend(self.references.get(service, ()))
        return frozenset(reached)


@dataclass(frozen=True, slots=True)
class DeclarationDiff:
    """The difference of two versions of a declaration."""

    services: frozenset[str] = frozenset()
    """Services with a key that differs."""
    whole: str = ""
    """Other keys that differ, which concern the whole environment: `[users]`."""

    @property
    def nothing(self) -> bool:
        """Return whether only layout and comments differ."""
        return not (self.services or self.whole)


def compare_declarations(old: bytes | None, new: bytes | None) -> DeclarationDiff:
    """Return the difference of two versions of an environment's declaration."""
    if old is None or new is None:
        return DeclarationDiff(whole="all of it")
    before, after = _tables(old), _tables(new)
    if before is None or after is None:
        return DeclarationDiff(whole="what cannot be read")
    was, now = before.pop(_SERVICES, {}), after.pop(_SERVICES, {})
    if not isinstance(was, dict) or not isinstance(now, dict):
        return DeclarationDiff(whole=_SERVICES)
    keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    keys += [f"{_SERVICES}.{name}" for name in sorted(was.keys() ^ now.keys())]
    touched = frozenset(name for name in was.keys() & now.keys() if was[name] != now[name])
    return DeclarationDiff(touched, ", ".join(keys))


def _tables(source: bytes) -> dict[str, Any] | None:
    try:
        return parse_toml(Path(), source.decode())
    except (ValueError, DeclarationError):
        return None
