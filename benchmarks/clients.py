"""What a test's HTTP client costs to make, against httpx's own, which reads the machine's certificates each time."""

from __future__ import annotations

from collections.abc import Iterable

import httpx

from benchmarks.rows import Row, in_turns, seconds
from envmatrix.services.kinds.http import new_async_client

_ROUNDS, _TIMES = 5, 20


def measure() -> Iterable[Row]:
    """Make clients of both sorts."""
    new_async_client(None)
    medians = in_turns(
        _ROUNDS,
        {
            "ours": lambda: seconds(lambda: new_async_client(None), _TIMES),
            "httpx": lambda: seconds(httpx.AsyncClient, _TIMES),
        },
    )
    ours, peer = medians["ours"] * 1000, medians["httpx"] * 1000
    yield Row("an asynchronous client", ours, "httpx.AsyncClient()", peer, "ms", "at most 0.1 x", _ROUNDS)
