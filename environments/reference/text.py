"""Text that every store of ours can hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain NUL")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
"""PostgreSQL's text has no NUL; pydantic itself refuses lone surrogates."""
