"""The backend: REST and WebSocket over PostgreSQL, Redis, the auth service, and optionally ClickHouse and a model."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import NoReturn

from fastapi import FastAPI, WebSocket

from environments.reference import health, server
from environments.reference.backend import connection, routes
from environments.reference.backend.parts import opened
from environments.reference.backend.settings import BackendSettings
from environments.reference.planted import plant
from environments.reference.settings import load


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: BackendSettings = app.state.settings
    async with opened(settings) as parts:
        app.state.parts = parts
        app.state.health = health.Health.of(app, settings, parts.dependencies)
        yield


app = server.create_app("backend", health.router, routes.router, lifespan=_lifespan)


@app.websocket("/ws")
async def websocket(socket: WebSocket) -> None:
    """Talk to one client."""
    await connection.serve(socket, socket.app.state.parts)


def main() -> NoReturn:
    """Run the service as the environment says."""
    settings = app.state.settings = load(BackendSettings, "environments.reference.backend")
    if settings.planted:
        from environments.reference.backend.bugs import Claims

        plant(settings)
        app.add_middleware(Claims)
    server.run(app, settings)
