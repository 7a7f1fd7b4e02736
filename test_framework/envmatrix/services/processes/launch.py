"""How to start the process of a service: its command, environment and account."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from envmatrix.services.endpoint import Endpoint


class Launch(BaseModel):
    """The process of a service, not yet started, and the endpoint that it will serve."""

    model_config = ConfigDict(frozen=True)

    endpoint: Endpoint
    command: tuple[str, ...]
    env: Mapping[str, str] = Field(default_factory=dict)
    """The whole environment: nothing is inherited."""
    cwd: Path | None = None
    user: str | None = None
    """The account to run as, where the server refuses root."""
    stop_signal: int = 15
    preload: tuple[str, ...] = ()
    """Modules to import in the fork server that forks it; empty: a fresh process."""
