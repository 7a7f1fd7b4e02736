"""Find the driver of a kind: ours, or one of an installed package (entry points `envmatrix.kinds`)."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from envmatrix.environments.used_keys import KIND_GROUP, KINDS, known_kinds
from envmatrix.exceptions import UnknownKindError, UsageError
from envmatrix.services.kinds.base import Kind

__all__ = ["get_kind", "known_kinds"]


@cache
def get_kind(name: str, service: str = "") -> Kind:
    """Return the driver of a kind.

    Raises:
        UnknownKindError: no package provides it.
        UsageError: the package that should provide it is broken.
    """
    if name in KINDS:  # a module each, imported when a declaration first names the kind
        kind: Kind = import_module(f"envmatrix.services.kinds.{name}").KIND
        return kind
    for entry in entry_points(group=KIND_GROUP, name=name):
        try:
            plugged = entry.load()
        except (ImportError, AttributeError) as error:
            raise UsageError(f"kind {name!r} cannot be loaded from {entry.value}: {error}") from error
        if not isinstance(plugged, Kind):
            raise UsageError(f"kind {name!r}: {entry.value} does not implement envmatrix.services.Kind")
        return plugged
    raise UnknownKindError(service, name, known_kinds())
