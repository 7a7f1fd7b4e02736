"""`/health`: who am I, at no cost; `/health/ready`: do my dependencies answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from environments.reference import __version__
from environments.reference.settings import ServiceSettings

PROBE_DEADLINE = 1.5
"""Seconds after which a dependency that has not answered is down."""


@dataclass(frozen=True)
class Dependency:
    """Something a service leans on. `probe` raises when it does not answer; None: not configured, so absent."""

    name: str
    probe: Callable[[], Awaitable[object]] | None
    required: bool = True

    async def look(self) -> dict[str, Any]:
        """Return its status, and the latency in milliseconds when it is up."""
        if self.probe is None:
            return {"status": "absent", "required": self.required}
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(PROBE_DEADLINE):
                await self.probe()
        except Exception as error:  # noqa: BLE001  whatever a client raises, the dependency is down and we say how
            detail = "timeout" if isinstance(error, TimeoutError) else type(error).__name__
            return {"status": "down", "required": self.required, "detail": detail}
        latency = round((time.perf_counter() - begun) * 1000, 3)
        return {"status": "up", "required": self.required, "latency_ms": latency}


def health_router(
    service: str, settings: ServiceSettings, dependencies: Callable[[], Sequence[Dependency]] = tuple, **facts: Any
) -> APIRouter:
    """Return the two routes; `facts` are added to what `/health` says."""
    router = APIRouter(tags=["health"])
    identity = {
        "status": "ok",
        "service": service,
        "environment": settings.environment,
        "version": __version__,
        "commit": settings.commit,
        **facts,
    }

    @router.get("/health")
    async def health() -> dict[str, Any]:
        return identity

    @router.get("/health/ready")
    async def ready() -> JSONResponse:
        parts = dependencies()
        seen = await asyncio.gather(*(part.look() for part in parts))
        lost = [part.required for part, look in zip(parts, seen, strict=True) if look["status"] == "down"]
        status = "unavailable" if any(lost) else "degraded" if lost else "ready"
        body = {
            **identity,
            "status": status,
            "dependencies": {part.name: look for part, look in zip(parts, seen, strict=True)},
        }
        return JSONResponse(body, status_code=503 if status == "unavailable" else 200)

    return router
