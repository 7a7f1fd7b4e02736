"""The plugins that run async fixtures and tests."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from envmatrix.analysis.index.answers import Fixture


@dataclass(frozen=True, slots=True)
class AsyncPlugins:
    """The loaded plugins that run async fixtures and tests, and their settings."""

    is_asyncio_auto: bool = False
    asyncio: str = ""
    """The file of pytest-asyncio; empty where it is not loaded."""
    fixture_loop_scope: str = ""
    """The scope of the event loop of a fixture that gives none; empty for the fixture's own."""
    is_anyio: bool = False
    is_anyio_auto: bool = False

    def runner_of(self, fixture: Fixture) -> Fixture | None:
        """Return the fixture that pytest-asyncio asks for to run another one; None where it leaves that alone."""
        is_async = fixture.function is not None and fixture.function.is_async
        if not self.asyncio or not (fixture.loop_scope is not None or (self.is_asyncio_auto and is_async)):
            return None
        scope = fixture.loop_scope or self.fixture_loop_scope or fixture.scope
        return Fixture(
            f"_{scope}_scoped_runner",
            self.asyncio,
            1,
            1,
            None,
            scope,
            False,
            False,
            "",
            "pytest-asyncio",
            True,
        )

    def runs(self, fixture: Fixture, names: Container[str]) -> bool:
        """Return whether a plugin runs an async fixture of a test that asks for fixtures of these names."""
        return self.runner_of(fixture) is not None or (self.is_anyio and "anyio_backend" in names)
