"""Pack everything into the built page: JSON, compressed, in base64, so that nothing in it is markup."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from importlib import resources

import msgspec

from envmatrix.report.page.details import blocks_of, details
from envmatrix.report.page.grid import grid
from envmatrix.report.page.masked import masked
from envmatrix.report.page.overview import overview
from envmatrix.report.page.source import PageSource
from envmatrix.report.page.timeline import time
from envmatrix.runs.garbage import paused

_LEVEL = 1
"""Of compression. A large page is a third smaller at 6, and takes a third longer to make."""

_PLACE = "<!--chunks-->"


@paused()
def render(source: PageSource) -> str:
    """Return the page. The same source gives the same bytes."""
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    head, _, tail = template.partition(_PLACE)
    return "".join((head, *(_script(name, part) for name, part in _parts(source)), tail))


def _parts(source: PageSource) -> Iterator[tuple[str, object]]:
    blocks = blocks_of(source)
    yield "page", overview(source, len(set(blocks.values())))
    yield "grid", grid(source, blocks)
    yield "time", time(source)
    for number, block in enumerate(details(source, blocks)):
        yield f"details-{number}", block


def _script(name: str, part: object) -> str:
    packed = base64.b64encode(gzip.compress(masked(_json(part)), _LEVEL, mtime=0)).decode()
    return f'<script type="application/gzip" id="{name}">{packed}</script>\n'


def _json(part: object) -> bytes:
    """Return a part as JSON; a lone surrogate stays a JSON escape."""
    try:
        return msgspec.json.encode(part)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(part, str_keys=True), separators=(",", ":")).encode()
