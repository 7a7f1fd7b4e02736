"""Where two values differ, out of the explanation that pytest gives of an assertion."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TELLING = re.compile(
    r"^(At index \d+ diff: |Differing (items|attributes):|(Left|Right) contains |Extra items in the |where )"
)
"""The first words of the lines that say where two values differ."""

_MAX = 160
"""Characters of one line."""


def difference(text: str) -> Iterator[str]:
    """Yield what tells most in an assertion's explanation below its first line: at most two lines of it."""
    lines = [line.strip().removeprefix("+ ").strip() for line in text.splitlines()[1:]]
    lines = [line for line in lines if line]
    asserted = next((line for line in lines if line.startswith("assert ")), None)  # after a message of the test's own
    if asserted is not None:
        yield _bounded(asserted)
    for number, line in enumerate(lines):
        if _TELLING.match(line):
            more = lines[number + 1 : number + 2] if line.endswith(":") else []
            yield _bounded(" ".join([line, *more]))
            return
    raw = [line.strip() for line in text.splitlines()[1:]]
    removed = next((line for line in raw if line.startswith("- ")), None)
    added = next((line for line in raw if line.startswith("+ ") and not line.startswith("+  where")), None)
    if removed and added:
        yield _bounded(f"{removed} {added}")


def _bounded(line: str) -> str:
    return line if len(line) <= _MAX else f"{line[: _MAX - 3]}..."
