"""The language model, through the OpenAI chat API and its streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Literal, TypedDict

import httpx

from environments.reference.backend.settings import BackendSettings
from environments.reference.server import UnavailableError

TIMEOUT = httpx.Timeout(5, read=60)
"""Seconds to connect, and between two tokens."""
PAUSES = (0.5, 1.0)
"""Seconds before each new attempt after a 429, a 5xx or no connection."""

_TOO_MANY, _FAILED = 429, 500


class ChatMessage(TypedDict):
    """One message, as the API takes it."""

    role: Literal["system", "user", "assistant"]
    content: str


class LanguageModel:
    """Answers, or says that it cannot.

    One path of the API is all that it needs. Importing the package `openai` would cost each worker 0.6 s of CPU, more
    than everything else that it imports together.
    """

    def __init__(self, settings: BackendSettings, client: httpx.AsyncClient) -> None:
        self._client = client
        self._url = settings.llm_url.rstrip("/") if settings.llm_url else None
        self._model = settings.llm_model
        self._headers = {"Authorization": f"Bearer {settings.llm_api_key.get_secret_value()}"}

    def demand(self) -> None:
        """Raise UnavailableError where no model is configured."""
        if self._url is None:
            raise UnavailableError("llm")

    async def complete(self, messages: Sequence[ChatMessage]) -> str:
        """Return the whole answer, read as a stream.

        Raises:
            UnavailableError: no model is configured, it refuses, or the stream ends before the answer does.
        """
        self.demand()
        body = {"model": self._model, "messages": list(messages), "stream": True}
        for pause in (*PAUSES, None):
            try:
                async with self._client.stream(
                    "POST", f"{self._url}/chat/completions", json=body, headers=self._headers, timeout=TIMEOUT
                ) as response:
                    if response.is_success:
                        return await _answer(response)
                    is_passing = response.status_code == _TOO_MANY or response.status_code >= _FAILED
            except httpx.TransportError:
                is_passing = True
            if pause is None or not is_passing:
                break
            await asyncio.sleep(pause)
        raise UnavailableError("llm")

    async def ping(self) -> None:
        """Look whether the model's server answers to our key; raise when it does not."""
        (await self._client.get(f"{self._url}/models", headers=self._headers)).raise_for_status()


async def _answer(response: httpx.Response) -> str:
    text, finished = "", False
    try:
        async for event in _events(response):
            for choice in json.loads(event)["choices"]:
                text += choice["delta"].get("content") or ""
                finished = finished or choice["finish_reason"] is not None
    except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnavailableError("llm") from error
    if not finished:
        raise UnavailableError("llm")
    return text


async def _events(response: httpx.Response) -> AsyncIterator[str]:
    """Yield what each server-sent event holds, up to the one that ends the stream."""
    async for line in response.aiter_lines():
        if line.startswith("data:") and (data := line.removeprefix("data:").strip()) != "[DONE]":
            yield data
