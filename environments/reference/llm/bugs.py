"""The scripted model's deliberate bugs."""

from __future__ import annotations

from typing import Any

from environments.reference.health import Health
from environments.reference.llm import scripted
from environments.reference.planted import bug


@bug("model_claims_to_be_real", Health, "__getattribute__")
def _says_that_it_is_no_script(right: Any, self: Health, name: str) -> Any:
    value = right(self, name)
    return {**value, "scripted": False} if name == "identity" else value


@bug("model_is_mute", scripted, "answer")
def _answers_nothing(_right: Any, _messages: Any) -> str:
    return ""


_told: list[Any] = []


@bug("model_remembers_everybody", scripted, "answer")
def _answers_from_all_conversations(right: Any, messages: Any) -> Any:
    _told.extend(messages)
    return right(_told)
