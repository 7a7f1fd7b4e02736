"""Find the driver of a kind: ours, the project's own, or one of an installed package (entry points `envmatrix.kinds`)."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from envmatrix.environments import ServiceSpec
from envmatrix.environments.used_keys import KIND_GROUP, KINDS, known_kinds
from envmatrix.exceptions import UnknownKindError, UsageError
from envmatrix.services.kinds.base import Kind

__all__ = ["get_kind", "kind_of", "known_kinds"]


def kind_of(spec: ServiceSpec) -> Kind:
    """Return the driver of a service's kind.

    Raises:
        UnknownKindError: neither the project nor a package provides it.
        UsageError: what should provide it is broken.
    """
    return _own_kind(spec.kind, *spec.driver) if spec.driver else get_kind(spec.kind, spec.name)


@cache
def _own_kind(name: str, root: str, place: str) -> Kind:
    """Return a driver that a project defines; its module may import others that are beside it."""
    module, _, attribute = place.partition(":")
    how = f"tool.envmatrix.kinds.{name} in pyproject.toml names module:NAME, as seen from {root}"
    if root not in sys.path:
        sys.path.append(root)
    try:
        own = getattr(import_module(module), attribute)
    except Exception as error:  # the project's own code may raise anything
        raise UsageError(
            f"kind {name!r} cannot be loaded from {place}: {type(error).__name__}: {error}", how
        ) from error
    if not isinstance(own, Kind):
        raise UsageError(f"kind {name!r}: {place} does not implement envmatrix.services.Kind", how)
    return own


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
