"""Text that every store of ours can hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain NUL")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain half a surrogate pair")
    return text


STORABLE = AfterValidator(_storable)
"""JSON can spell what UTF-8 and PostgreSQL cannot hold."""
Text = Annotated[str, STORABLE]
