"""The language model, through the official client and its streaming API."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Sequence
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

import httpx

from environments.reference.backend.settings import BackendSettings
from environments.reference.server import UnavailableError

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletionMessageParam

RETRIES = 2
"""After a 429, a 5xx or no connection; the client backs off half a second, then one."""


class LanguageModel:
    """The model that agents ask.

    Importing `openai` costs as much as everything else together, so it waits for the first agent: a start has better
    uses for the processor.
    """

    def __init__(self, settings: BackendSettings, tls: SSLContext) -> None:
        self._settings = settings
        self._tls = tls
        self._client: openai.AsyncOpenAI | None = None
        self._opening = asyncio.Lock()

    async def complete(self, messages: Sequence[ChatCompletionMessageParam]) -> str:
        """Return the whole answer, read as a stream.

        Raises:
            UnavailableError: no model is configured, it refuses, is too slow, or the stream ends before the answer.
        """
        client = await self.open()
        text, finished = "", False
        try:
            async with (
                asyncio.timeout(self._settings.llm_timeout),
                await client.chat.completions.create(
                    model=self._settings.llm_model, messages=messages, stream=True
                ) as stream,
            ):
                async for chunk in stream:
                    for choice in chunk.choices:
                        text += choice.delta.content or ""
                        finished = finished or choice.finish_reason is not None
        except Exception as error:
            raise UnavailableError("llm") from error
        if not finished:
            raise UnavailableError("llm")
        return text

    async def open(self) -> openai.AsyncOpenAI:
        """Return the client, made on first use."""
        if self._settings.llm_url is None:
            raise UnavailableError("llm")
        async with self._opening:
            if self._client is None:
                module: Any = await asyncio.to_thread(importlib.import_module, "openai")
                self._client = module.AsyncOpenAI(
                    base_url=self._settings.llm_url,
                    api_key=self._settings.llm_api_key.get_secret_value(),
                    max_retries=RETRIES,
                    timeout=self._settings.llm_timeout,
                    http_client=module.DefaultAsyncHttpxClient(verify=self._tls, trust_env=False),
                )
            return self._client

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[LanguageModel]:
        """Close the connections in the end."""
        try:
            yield self
        finally:
            if self._client:
                await self._client.close()

    async def ping(self, client: httpx.AsyncClient) -> None:
        """Look whether the model's server answers to our key; raise when it does not."""
        key = self._settings.llm_api_key.get_secret_value()
        url = f"{(self._settings.llm_url or '').rstrip('/')}/models"
        (await client.get(url, headers={"Authorization": f"Bearer {key}"})).raise_for_status()
