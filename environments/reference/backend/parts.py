"""The open connections of one backend worker; opening them waits for nothing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import httpx

from environments.reference.backend.agents import Agents
from environments.reference.backend.analytics import Analytics, ClickHouse, NoAnalytics
from environments.reference.backend.authenticate import Authenticator
from environments.reference.backend.language_model import LanguageModel
from environments.reference.backend.redis_side import Hub, State, connect
from environments.reference.backend.settings import BackendSettings
from environments.reference.backend.store import SCHEMA, Store
from environments.reference.database import Database
from environments.reference.health import Dependency

TIMEOUT = 5.0
"""Seconds for another service to answer."""
IDLE = httpx.Limits(keepalive_expiry=1)
"""uvicorn closes a connection that was idle for five seconds: a request on its way by then would be lost."""


@dataclass(frozen=True)
class Parts:
    """The open connections of one worker, by what they are for."""

    authenticator: Authenticator
    store: Store
    state: State
    hub: Hub
    analytics: Analytics
    agents: Agents
    dependencies: Sequence[Dependency]


@contextlib.asynccontextmanager
async def opened(settings: BackendSettings) -> AsyncIterator[Parts]:
    """Open everything; what is not there yet is connected to in the background."""
    clickhouse_url = settings.clickhouse_url.get_secret_value() if settings.clickhouse_url else None
    tls = settings.client_tls(settings.auth_url, settings.llm_url, clickhouse_url)
    async with contextlib.AsyncExitStack() as stack:

        async def http(base_url: str = "") -> httpx.AsyncClient:
            client = httpx.AsyncClient(base_url=base_url, verify=tls, timeout=TIMEOUT, limits=IDLE, trust_env=False)
            return await stack.enter_async_context(client)

        authenticator = Authenticator(settings, await http(settings.auth_url))
        redis = await stack.enter_async_context(connect(settings.redis_url))
        hub = await stack.enter_async_context(Hub(redis).running())
        database = await stack.enter_async_context(Database(settings.database_url, SCHEMA).running())
        model = await stack.enter_async_context(LanguageModel(settings, tls).running())
        store = Store(database)
        anywhere = await http()
        dependencies = [
            Dependency("database", database.ping),
            Dependency("redis", hub.ping, required=hub.is_awaited),
            Dependency("auth", authenticator.ping),
            Dependency("llm", (lambda: model.ping(anywhere)) if settings.llm_url else None, required=False),
        ]
        analytics: Analytics = NoAnalytics()
        if settings.clickhouse_url is None:
            dependencies.append(Dependency("clickhouse", None, required=False))
        else:
            clickhouse = await stack.enter_async_context(ClickHouse(settings.clickhouse_url, anywhere).running())
            dependencies.append(Dependency("clickhouse", clickhouse.ping, required=False))
            analytics = clickhouse
        agents = Agents(store, analytics, model)
        yield Parts(authenticator, store, State(redis), hub, analytics, agents, dependencies)
