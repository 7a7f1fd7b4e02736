"""A language model that follows a script: its answer is a pure function of the messages."""

# ruff: noqa: D102 - the Protocol says once what each method means

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Sequence

from environments.reference.llm.engine import Chat, Finish, Message


def answer(messages: Sequence[Message]) -> str:
    """Return the scripted answer: a digest of the whole conversation, and the user's last words as they were.

    Asked to repeat everything it gives all of the user's words: two users whose conversations were mixed up would see
    each other's.
    """
    conversation = "\x1e".join(f"{message.role}\x1f{message.text}" for message in messages)
    seal = hashlib.sha256(conversation.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    words = [message.text for message in messages if message.role == "user"]
    last = words[-1] if words else ""
    if last.lower().startswith("repeat everything"):
        last = "; ".join(words)
    return f"Scripted answer {seal}. You said: {last}"


def tokens(text: str) -> list[str]:
    """Split text into the pieces that are streamed; joined they are the text."""
    return re.findall(r"\s*\S+|\s+$", text)


class ScriptedEngine:
    """The script as an engine."""

    async def stream(self, chat: Chat) -> AsyncGenerator[str | Finish, None]:
        pieces = tokens(answer(chat.messages))
        spoken = pieces[: chat.limit]
        for piece in spoken:
            yield piece
            await asyncio.sleep(0)
        prompt = sum(len(tokens(message.text)) for message in chat.messages)
        yield Finish("stop" if len(spoken) == len(pieces) else "length", prompt, len(spoken))
