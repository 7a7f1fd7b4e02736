"""The backend: REST and WebSocket over PostgreSQL, Redis, the auth service, and optionally ClickHouse and a model."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import NoReturn

from fastapi import FastAPI, WebSocket

from environments.reference import server
from environments.reference.backend import connection
from environments.reference.backend.parts import Parts, opened
from environments.reference.backend.routes import api_router
from environments.reference.backend.settings import BackendSettings
from environments.reference.health import health_router
from environments.reference.settings import load

NAME = "backend"


def build(settings: BackendSettings) -> FastAPI:
    """Return the application; nothing is opened before its lifespan."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(settings) as app.state.parts:
            yield

    def parts() -> Parts:
        return app.state.parts  # type: ignore[no-any-return]

    app = server.create_app(NAME, lifespan)
    app.include_router(health_router(NAME, settings, lambda: parts().dependencies))
    app.include_router(api_router(parts))

    @app.websocket("/ws")
    async def websocket(socket: WebSocket) -> None:
        await connection.serve(socket, parts())

    return app


def main() -> NoReturn:
    """Run the service as the environment says."""
    settings = load(BackendSettings, "environments.reference.backend")
    server.run(NAME, settings, lambda: build(settings))
