"""Annotations on a pull request's diff: workflow commands of GitHub Actions, no more than GitHub shows."""

from __future__ import annotations

from collections.abc import Sequence

from envmatrix.report.text import inert, middle

MOST = 10
"""Errors that GitHub shows of one step; it drops the rest without a word.
https://docs.github.com/en/actions/reference/limits"""

_LONGEST = 1000
"""Characters of a message; GitHub cuts at 64 KiB, a reader long before."""


def within_limit(commands: Sequence[str], left_out: str) -> str:
    """Return one command a line; where GitHub would drop some, the last says that there are more, and where."""
    lines = list(commands)
    if len(lines) > MOST:
        lines[MOST - 1 :] = [command("envmatrix", f"and {len(lines) - MOST + 1} more: {left_out}")]
    return "".join(f"{line}\n" for line in lines)


def command(title: str, message: str, file: str = "", line: str = "", *, level: str = "error") -> str:
    """Return one annotation."""
    parts = {"file": file, "line": line, "title": title}
    properties = ",".join(f"{key}={_property(value)}" for key, value in parts.items() if value)
    return f"::{level} {properties}::{_data(message)}"


def _data(text: str) -> str:
    """Escape a message as GitHub's own toolkit does; what it holds can begin no command."""
    return middle(inert(text), _LONGEST).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
