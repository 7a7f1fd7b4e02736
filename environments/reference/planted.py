"""Deliberate bugs of the reference system, each switched on by its name: tests of the suites must find them.

PLANTED names a file, which lists the bugs that are on at the moment, or none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from environments.reference.settings import ServiceSettings

ENVIRONMENT = "planted"
"""The only environment in which they are allowed."""

Bug = Callable[..., Any]
"""Called instead of a function of the product, which is its first argument."""

NAMES: set[str] = set()
_REPLACED: list[tuple[str, Any, str, Bug]] = []
_switch = Path()


def bug(name: str, owner: Any, attribute: str) -> Callable[[Bug], Bug]:
    """Register a bug, or a part of one, for a function of a class or module."""

    def register(wrong: Bug) -> Bug:
        NAMES.add(name)
        _REPLACED.append((name, owner, attribute, wrong))
        return wrong

    return register


def is_on(name: str) -> bool:
    """Return whether a bug is switched on."""
    return name in _switch.read_text().split()


def plant(settings: ServiceSettings) -> None:
    """Put the registered bugs in place; the file switches each on.

    Raises:
        SystemExit: the environment is not the one for bugs.
    """
    if settings.environment != ENVIRONMENT:
        raise SystemExit(
            f"PLANTED is refused in {settings.environment!r}: it is for tests, in {ENVIRONMENT!r} alone. Unset it"
        )
    assert settings.planted is not None  # noqa: S101  whoever calls has looked
    global _switch  # noqa: PLW0603  the bugs stand in for functions, which get no further arguments
    _switch = settings.planted
    for name, owner, attribute, wrong in _REPLACED:
        setattr(owner, attribute, _either(name, getattr(owner, attribute), wrong))


def _either(name: str, right: Callable[..., Any], wrong: Bug) -> Callable[..., Any]:
    @functools.wraps(right)
    def either(*args: Any, **kwargs: Any) -> Any:
        return wrong(right, *args, **kwargs) if is_on(name) else right(*args, **kwargs)

    return either
