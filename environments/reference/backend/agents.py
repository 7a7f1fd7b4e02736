"""One run of an agent: five events in order, two messages in the thread."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from environments.reference.backend.analytics import Analytics
from environments.reference.backend.language_model import LanguageModel
from environments.reference.backend.protocol import AgentRequest, ProtocolError, event
from environments.reference.backend.store import Message, Store, before
from environments.reference.backend.tools import TOOLS, Workshop
from environments.reference.server import UnavailableError

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

HISTORY = 20
"""How many earlier messages of the thread the model is shown."""

Emit = Callable[[UUID, dict[str, Any]], Awaitable[None]]
"""Sends one event of a thread to the connections that follow it."""


@dataclass(frozen=True)
class Agents:
    """Runs agents for the user of the token."""

    store: Store
    analytics: Analytics
    model: LanguageModel

    async def run(self, user_id: str, request: AgentRequest, emit: Emit) -> None:
        """Do what is asked, and emit an event before and after each step.

        Raises:
            ProtocolError: the thread is not this user's.
            UnavailableError: a dependency does not answer; the events so far have been sent.
        """
        await self.model.open()
        thread_id = await self._thread(user_id, request)
        message_id = await self.store.add_message(user_id, thread_id, "user", request.agent, request.message)
        if message_id is None:
            raise ProtocolError("access denied", thread_id=str(thread_id))
        facts: dict[str, Any] = {"thread_id": str(thread_id), "run_id": uuid.uuid4().hex, "agent": request.agent}
        if request.request_id is not None:
            facts["request_id"] = request.request_id
        begun = time.perf_counter()

        def record(kind: str) -> None:
            known = {key: facts[key] for key in ("thread_id", "run_id", "agent")}
            self.analytics.record(user_id=user_id, event=kind, duration=time.perf_counter() - begun, **known)

        async def tell(kind: str, **data: Any) -> None:
            await emit(thread_id, event(kind, **facts, **data))

        record("agent_started")
        try:
            await tell("agent_started", user_id=user_id)
            results = await self._use_tool(user_id, request, tell)
            history = before(await self.store.messages(user_id, thread_id), message_id, HISTORY)
            response = await self.model.complete(_prompt(request, results, history))
            await self.store.add_message(user_id, thread_id, "assistant", request.agent, response)
        except UnavailableError as error:
            record("agent_failed")
            raise ProtocolError(str(error), **facts) from error
        record("agent_completed")
        await tell("agent_completed", status="completed", result={"response": response, "tool_results": results})

    async def _thread(self, user_id: str, request: AgentRequest) -> UUID:
        if request.context.thread_id is not None:
            return request.context.thread_id
        return (await self.store.add_thread(user_id, request.message[:80])).thread_id

    async def _use_tool(
        self, user_id: str, request: AgentRequest, tell: Callable[..., Awaitable[None]]
    ) -> dict[str, Any]:
        tool = TOOLS[request.agent]
        parameters = tool.parameters(request.message)
        await tell("agent_thinking", reasoning=tool.reasoning)
        await tell("tool_executing", tool_name=tool.name, parameters=parameters)
        begun = time.perf_counter()
        results = await tool.use(Workshop(user_id, self.store, self.analytics), parameters)
        duration = time.perf_counter() - begun
        await tell("tool_completed", tool_name=tool.name, results=results, duration=duration)
        return results


def _prompt(request: AgentRequest, results: dict[str, Any], history: list[Message]) -> list[ChatCompletionMessageParam]:
    tool = TOOLS[request.agent]
    role = f"You are {request.agent.replace('_', ' ')}. {tool.name} says: {json.dumps(results)}. Answer briefly."
    earlier: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": message.content}
        if message.role == "user"
        else {"role": "assistant", "content": message.content}
        for message in history
    ]
    return [{"role": "system", "content": role}, *earlier, {"role": "user", "content": request.message}]
