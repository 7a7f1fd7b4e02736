"""The auth service: routes over PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import NoReturn

from fastapi import FastAPI

from environments.reference import server
from environments.reference.auth.routes import auth_router
from environments.reference.auth.settings import AuthSettings
from environments.reference.auth.store import SCHEMA, PostgresStore
from environments.reference.database import Database
from environments.reference.health import Dependency, health_router
from environments.reference.settings import load

NAME = "auth"


def build(settings: AuthSettings) -> FastAPI:
    """Return the application; nothing is opened before its lifespan."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Database(settings.database_url, SCHEMA).running() as database:
            app.state.database, app.state.store = database, PostgresStore(database)
            yield

    def dependencies() -> Sequence[Dependency]:
        return [Dependency("database", app.state.database.ping)]

    def store() -> PostgresStore:
        return app.state.store  # type: ignore[no-any-return]

    app = server.create_app(NAME, lifespan)
    app.include_router(health_router(NAME, settings, dependencies))
    app.include_router(auth_router(settings, store))
    return app


def main() -> NoReturn:
    """Run the service as the environment says."""
    settings = load(AuthSettings, "environments.reference.auth")
    server.run(NAME, settings, lambda: build(settings))
