"""The auth service: routes over PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import NoReturn

from fastapi import FastAPI

from environments.reference import health, server
from environments.reference.auth import routes
from environments.reference.auth.issuer import Issuer
from environments.reference.auth.settings import AuthSettings
from environments.reference.auth.store import SCHEMA, PostgresStore
from environments.reference.database import Database
from environments.reference.settings import load


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: AuthSettings = app.state.settings
    async with Database(settings.database_url, SCHEMA).running() as database:
        app.state.issuer = Issuer(settings, PostgresStore(database))
        app.state.health = health.Health.of(app, settings, [health.Dependency("database", database.ping)])
        yield


app = server.create_app("auth", health.router, routes.router, lifespan=_lifespan)


def main() -> NoReturn:
    """Run the service as the environment says."""
    app.state.settings = load(AuthSettings, "environments.reference.auth")
    server.run(app, app.state.settings)
