"""The words that every format uses for a provider."""

from __future__ import annotations

from collections.abc import Sequence

from envmatrix.analysis.index.registry import Provider

_FEW = 3
"""Tests named of those that use a fixture."""


def where(provider: Provider) -> str:
    """Return where it is defined: a file and line, or the plugin that is installed."""
    return f"{provider.path}:{provider.line}" if provider.path else f"plugin {provider.plugin}"


def seen_from(provider: Provider) -> str:
    """Return from where tests can ask for it."""
    return ", ".join(holder or "everywhere" for holder in provider.visible)


def scope(provider: Provider) -> str:
    """Return its scope, and what else decides how often it is made."""
    words = [provider.scope or "computed", "autouse" * provider.is_autouse, "params" * provider.has_params]
    return ", ".join(filter(None, words))


def used_by(users: Sequence[str]) -> str:
    """Return how many tests reach it, and the first of them."""
    if not users:
        return "no test"
    first = ", ".join(users[:_FEW])
    more = f" and {len(users) - _FEW} more" if len(users) > _FEW else ""
    return f"{len(users)} test{'s'[: len(users) != 1]}: {first}{more}"
