"""How long one look at ten services takes, against the slowest of its own probes.

The services are on this machine and answer after a while each, as services elsewhere do.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.rows import Row, in_turns
from envmatrix.environments import Environment, ServiceSpec, Source
from envmatrix.services.health import looking_at
from envmatrix.services.kinds.registry import get_kind

_SERVICES = 10
_DELAY = 0.2
"""Seconds until the slowest answers; the others take less, down to a tenth of it."""
_ROUNDS = 7


def measure() -> Iterable[Row]:
    """Look at all at once, and probe the slowest alone, in turns."""
    with ExitStack() as stack:
        delays = [_DELAY * number / _SERVICES for number in range(1, _SERVICES + 1)]
        urls = [stack.enter_context(_serving(delay)) for delay in delays]
        specs = {
            f"s{number}": ServiceSpec(name=f"s{number}", kind="http", source=Source.REMOTE, url=url)
            for number, url in enumerate(urls)
        }
        environment = Environment(name="ten", file=Path("ten.toml"), services=specs)
        slowest, kind = list(specs.values())[-1], get_kind("http")
        endpoint = kind.connect(slowest, urls[-1])

        def look() -> float:
            began = time.perf_counter()
            with looking_at([environment], Path()) as look_at_all:
                look_at_all()
            return time.perf_counter() - began

        medians = in_turns(
            _ROUNDS, {"all": look, "one": lambda: kind.ping(slowest, endpoint, slowest.ping_deadline).latency}
        )
    goal = "at most 1.3 x"
    name = f"health of {_SERVICES} services"
    yield Row(name, medians["all"], "its slowest probe", medians["one"], goal=goal, samples=_ROUNDS)


@contextmanager
def _serving(delay: float) -> Iterator[str]:
    """Serve a health answer that takes a while; yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(delay)
            body = json.dumps({"service": "s"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
