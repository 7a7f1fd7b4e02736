"""The health routes: `/health` says which service this is, `/health/ready` whether its dependencies answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from environments.reference.settings import ServiceSettings

PROBE_DEADLINE = 1.5
"""Seconds after which a dependency that has not answered is down."""


@dataclass(frozen=True)
class Dependency:
    """A dependency of a service. `probe` raises when it does not answer; None means not configured, so absent."""

    name: str
    probe: Callable[[], Awaitable[object]] | None
    required: bool | Callable[[], bool] = True
    """Whether the service is unavailable without it; asked at each look where that changes."""

    async def look(self) -> dict[str, Any]:
        """Return its status, and the latency in milliseconds when it is up."""
        required = self.required() if callable(self.required) else self.required
        if self.probe is None:
            return {"status": "absent", "required": required}
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(PROBE_DEADLINE):
                await self.probe()
        except Exception as error:  # noqa: BLE001  whatever a client raises, the dependency is down and we say how
            detail = "timeout" if isinstance(error, TimeoutError) else type(error).__name__
            return {"status": "down", "required": required, "detail": detail}
        latency = round((time.perf_counter() - begun) * 1000, 3)
        return {"status": "up", "required": required, "latency_ms": latency}


@dataclass(frozen=True)
class Health:
    """What a service says about itself; kept as `app.state.health`."""

    identity: Mapping[str, Any]
    dependencies: Sequence[Dependency] = ()

    @classmethod
    def of(
        cls, app: FastAPI, settings: ServiceSettings, dependencies: Sequence[Dependency] = (), **facts: Any
    ) -> Health:
        """Describe a service; `facts` are added to what it says."""
        identity = {"service": app.title, "version": app.version}
        return cls(identity | {"environment": settings.environment, "commit": settings.commit} | facts, dependencies)


router = APIRouter(tags=["health"])


@router.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """Say who answers."""
    own: Health = request.app.state.health
    return {"status": "ok", **own.identity}


@router.get("/health/ready")
async def ready(request: Request) -> JSONResponse:
    """Probe every dependency at once."""
    own: Health = request.app.state.health
    probes = await asyncio.gather(*(part.look() for part in own.dependencies))
    lost = [probe["required"] for probe in probes if probe["status"] == "down"]
    status = "unavailable" if any(lost) else "degraded" if lost else "ready"
    by_name = {part.name: probe for part, probe in zip(own.dependencies, probes, strict=True)}
    body = {"status": status, **own.identity, "dependencies": by_name}
    return JSONResponse(body, status_code=503 if status == "unavailable" else 200)
