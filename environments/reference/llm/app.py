"""The scripted language model as a service."""

from __future__ import annotations

from typing import NoReturn

from pydantic import SecretStr

from environments.reference import health, server
from environments.reference.llm import api
from environments.reference.llm.engine import Engine
from environments.reference.llm.scripted import ScriptedEngine
from environments.reference.planted import plant
from environments.reference.settings import ServiceSettings, load


class LlmSettings(ServiceSettings):
    """Settings of a model's service."""

    llm_model: str = "scripted-1"
    llm_api_key: SecretStr | None = None
    """Unset: anybody may ask."""


app = server.create_app("llm", health.router, api.router)
api.answer_errors(app)


def run(settings: LlmSettings, engine: Engine, *, scripted: bool) -> NoReturn:
    """Serve an engine."""
    app.state.served = api.Served(engine, settings.llm_model, settings.llm_api_key)
    app.state.health = health.Health.of(app, settings, scripted=scripted, model=settings.llm_model)
    server.run(app, settings)


def main() -> NoReturn:
    """Run the scripted model as the environment says."""
    settings = load(LlmSettings, "environments.reference.llm")
    if settings.planted:
        from environments.reference.llm import bugs  # noqa: F401  registers them

        plant(settings)
    run(settings, ScriptedEngine(), scripted=True)
