"""The scripted language model as a service."""

from __future__ import annotations

from typing import NoReturn

from fastapi import FastAPI
from pydantic import SecretStr

from environments.reference import server
from environments.reference.health import health_router
from environments.reference.llm.api import add_openai_routes
from environments.reference.llm.engine import Engine
from environments.reference.llm.scripted import ScriptedEngine
from environments.reference.settings import ServiceSettings, load

NAME = "llm"


class LlmSettings(ServiceSettings):
    """What a model's service is told."""

    llm_model: str = "scripted-1"
    llm_api_key: SecretStr | None = None
    """Unset: anybody may ask."""


def build(settings: LlmSettings, engine: Engine, *, scripted: bool) -> FastAPI:
    """Return the application over an engine."""
    app = server.create_app(NAME)
    app.include_router(health_router(NAME, settings, scripted=scripted, model=settings.llm_model))
    add_openai_routes(app, engine, model=settings.llm_model, api_key=settings.llm_api_key)
    return app


def main() -> NoReturn:
    """Run the scripted model as the environment says."""
    settings = load(LlmSettings, "environments.reference.llm")
    server.run(NAME, settings, lambda: build(settings, ScriptedEngine(), scripted=True))
