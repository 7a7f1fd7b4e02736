"""How programs escape, encode and wrap a text, and how to find it again in what they print."""

from __future__ import annotations

import base64
import bisect
import functools
import html
import json
import re
import urllib.parse
from collections.abc import Iterator

_MAX_DEPTH = 4
"""Levels of escapes: the repr of a JSON text that was wrapped has three."""

_INDENT = rb"(?:[E>|+-][ \t]+|[ \t])*"
_LINE_END = b"|".join(
    start + _INDENT + rb"""(?:b?["'])?""" for start in (rb'"[ \t]*\r?\n', rb"'[ \t]*\r?\n", rb"\r\n", rb"\n")
)
"""The end of a line, with what pprint and pytest put around it.

Here and below each alternative begins with a plain character: `re` then skips to these, ten times as fast.
"""

_KINDS = (
    (
        rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}"
        rb"|\\x[0-9a-fA-F]{2}|\\[^uUx]"
    ),
    rb"%[0-9a-fA-F]{2}",
    rb"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});",
    rb"""'"'"'|''|\"\"""",  # a quote in a shell, in SQL, in CSV
)
_ALL = re.compile(b"|".join((*_KINDS, _LINE_END)))
_BARE_END = rb"\r\n" + _INDENT + rb"|\n" + _INDENT
_EACH = (
    _ALL,
    *(re.compile(kind + b"|" + _LINE_END) for kind in _KINDS),
    re.compile(_KINDS[0] + b"|" + _BARE_END),
    re.compile(_BARE_END),
    re.compile(_BARE_END + rb"| [ \t]*|\t[ \t]*"),  # lines are broken at spaces, too
)
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"0": b"\0"}


class Level:
    """A text with one more level of its escapes undone, which knows where each byte came from."""

    def __init__(self, data: bytes, above: Level | None = None) -> None:
        self.data = data
        self._above = above
        self._starts: list[int] = []
        self._tokens: list[tuple[int, int, int]] = []
        """Of each escape: where its plain text ends, and where the escape itself starts and ends in the level above."""

    def unescaped(self, escape: re.Pattern[bytes]) -> Level:
        """Return the level below."""
        level = Level(b"", self)
        parts: list[bytes] = []
        size = end = 0
        for match in escape.finditer(self.data):
            start, plain = match.start(), _plain(match[0])
            size += start - end
            parts += (self.data[end:start], plain)
            level._starts.append(size)
            size += len(plain)
            end = match.end()
            level._tokens.append((size, start, end))
        level.data = b"".join((*parts, self.data[end:]))
        return level

    def source(self, start: int, end: int) -> tuple[int, int]:
        """Return where some bytes stand in the text as it was given."""
        if self._above is None:
            return start, end
        return self._above.source(self._place(start)[0], self._place(end - 1)[1])

    def _place(self, at: int) -> tuple[int, int]:
        """Return where a byte starts and ends in the level above."""
        token = bisect.bisect_right(self._starts, at) - 1
        if token < 0:
            return at, at + 1
        plain_end, start, end = self._tokens[token]
        return (start, end) if at < plain_end else (end + at - plain_end, end + at - plain_end + 1)


def levels(data: bytes, *, each_kind: bool = False) -> Iterator[Level]:
    """Yield a text as it is, then with its escapes undone, until none is left.

    With `each_kind` again with those of each kind alone: what holds `%41` or ends in a backslash itself is found only so.
    """
    yield Level(data)
    for escape in _EACH if each_kind else [_ALL]:
        level = Level(data)
        for _ in range(_MAX_DEPTH):
            below = level.unescaped(escape)
            if below.data == level.data:
                break
            yield (level := below)


def looks_escaped(text: str) -> bool:
    """Return whether a text holds what may be taken for an escape, alone or with what stands beside it."""
    return not set("\\%&\"' \n").isdisjoint(text)


def forms(text: str) -> set[bytes]:
    """Return the bytes of which one stands in any level of a text that holds this one, escaped or encoded."""
    data = text.encode(errors="surrogatepass")
    plain = {level.data for level in levels(data)} | {b"".join(data.split())}
    # ascii() and backslashreplace write \xe4 for a character, and repr() of bytes for a byte.
    plain.add(b"".join(each.encode("latin-1" if each <= "\xff" else "utf-8", "surrogatepass") for each in text))
    escaped = {json.dumps(text)[1:-1].encode(), urllib.parse.quote(data, safe="").encode()}
    return plain | {form for each in plain | escaped for form in _encodings(each)}


def _encodings(data: bytes) -> Iterator[bytes]:
    """Yield hex and base64: of the latter what is the same whatever stands before and after, at each offset."""
    yield data.hex().encode()
    yield data.hex().upper().encode()
    for offset, cut in enumerate((0, 2, 3)):
        kept = slice(cut, (offset + len(data)) * 8 // 6)
        yield base64.b64encode(bytes(offset) + data)[kept]
        yield base64.urlsafe_b64encode(bytes(offset) + data)[kept]


@functools.lru_cache(4096)
def _plain(escape: bytes) -> bytes:
    """Return what one escape stands for."""
    kind = escape[:1]
    if kind == b"%" or escape[:2] == b"\\x":
        return bytes.fromhex(escape[-2:].decode())
    if kind == b"&":
        return html.unescape(escape.decode()).encode(errors="surrogatepass")
    if escape[:2] in {b"\\u", b"\\U"}:
        halves = escape.decode("unicode_escape", "replace").encode("utf-16", "surrogatepass")
        return halves.decode("utf-16", "surrogatepass").encode(errors="surrogatepass")
    if kind == b"\\":
        return _CONTROLS.get(escape[1:], escape[1:])
    return b"" if b"\n" in escape or escape.isspace() else kind
