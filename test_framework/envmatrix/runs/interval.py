"""The time from one sample to the next, as options have it; in a module that costs nothing to import."""

from __future__ import annotations

from contextlib import suppress


def interval(text: str) -> float:
    """Return the seconds of `1s`, `0.5s` or `1`.

    Raises:
        ValueError: it is no number of seconds from 0.1 to 60.
    """
    with suppress(ValueError):
        seconds = float(text.removesuffix("s"))
        if 0.1 <= seconds <= 60:  # noqa: PLR2004  as the sentence above says
            return seconds
    raise ValueError(f"{text!r} is no time from 0.1s to 60s")
