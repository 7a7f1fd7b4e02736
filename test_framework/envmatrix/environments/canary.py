"""What the `[canary]` table may say: where a word that one user leaves would show if others could read it."""

from typing import Any, Literal, Self

from pydantic import model_validator

from envmatrix.environments.references import texts_in
from envmatrix.environments.tables import Table, UrlPath


class CanaryRoute(Table):
    """One `[[canary.http]]` table: how a user writes a word with the backend, and where the word would show."""

    method: Literal["POST", "PUT"] = "POST"
    """How to write."""
    path: UrlPath
    """Where to write, on the service that clients talk to."""
    body: dict[str, Any]
    """What is sent as JSON; `{canary}` in any text of it is the word."""
    id: str | None = None
    """The field of the answer that names what was written."""
    read: tuple[UrlPath, ...]
    """What the user then GETs; `{id}` is that name. Others must not see the word at any of them, nor under its name."""

    @model_validator(mode="after")
    def _could_find_something(self) -> Self:
        if not any("{canary}" in text for _, text in texts_in(self.body)):
            raise ValueError("no text of body holds {canary}")
        if not self.read:
            raise ValueError("read names no path to look for the word at")
        if self.id is None and any("{id}" in path for path in self.read):
            raise ValueError("read asks for {id}, and `id` does not say which field of the answer that is")
        return self


class CanarySocket(Table):
    """The `[canary.websocket]` table: how a user sends a word over the WebSocket, and which frame ends the answer."""

    say: str
    """The message that makes the product speak of `{canary}`."""
    ends: tuple[str, ...]
    """Texts: the last frame of an answer, or of a refusal, holds one of them."""
    id: str | None = None
    """The field of the frames that names the conversation."""
    recall: str | None = None
    """The message that asks a language model for all that it was told; `{id}` is the conversation that it is asked in."""

    @model_validator(mode="after")
    def _says_the_word(self) -> Self:
        if "{canary}" not in self.say:
            raise ValueError("say does not hold {canary}")
        if not self.ends:
            raise ValueError("ends names no text that an answer ends with")
        if (self.id is None) == ("{id}" in (self.recall or "")):
            raise ValueError("`id` says which field fills in {id} in recall: one is nothing without the other")
        return self


class Canary(Table):
    """The `[canary]` table: where the word of one user would show if another user could read it."""

    http: tuple[CanaryRoute, ...] = ()
    """Routes that keep something for a user."""
    websocket: CanarySocket | None = None
    """A conversation."""
