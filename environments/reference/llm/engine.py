"""What a language model must do for the HTTP surface: the request it gets and the pieces it streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field


class TextPart(BaseModel):
    """One part of a message in the long form."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] = ""

    @property
    def text(self) -> str:
        """Return the content as one string, whichever form it came in."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """What a stream should add."""

    include_usage: bool = False


class Chat(BaseModel):
    """A chat completion request; options that we do not know are ignored, as others do."""

    model: str
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Literal[1] = 1

    @property
    def limit(self) -> int | None:
        """Return the most tokens to answer with."""
        return self.max_completion_tokens or self.max_tokens


@dataclass(frozen=True)
class Finish:
    """The end of an answer."""

    reason: str
    prompt_tokens: int
    completion_tokens: int

    @property
    def usage(self) -> dict[str, int]:
        """Return the token counts as the API words them."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


class Engine(Protocol):
    """A model that streams its answer."""

    def stream(self, chat: Chat) -> AsyncGenerator[str | Finish, None]:
        """Give the answer token by token; the last thing given is the `Finish`."""
        ...
