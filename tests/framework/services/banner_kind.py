"""A kind that only these tests define: a server that greets whoever connects. Found by its entry point."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

from envmatrix.environments import ServiceSpec
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services import Endpoint, Launch, StartContext

SERVER = Path(__file__).with_name("banner_server.py")


class BannerKind:
    """Speaks to `banner_server.py`; `options.says` is what the greeting must be."""

    name = "banner"

    def launch(self, spec: ServiceSpec, context: StartContext) -> Launch:
        """Return a server whose arguments the declaration gives."""
        (context.state_dir / "data").write_text("prepared", encoding="utf-8")
        url = f"tcp://{context.host}:{context.port}"
        endpoint = self.connect(spec, url).model_copy(update={"password": context.password})
        command = (sys.executable, "-S", "-E", str(SERVER), str(context.port), *spec.options.get("arguments", []))
        return Launch(endpoint=endpoint, command=command, env={}, stop_signal=spec.options.get("stop_signal", 15))

    def address(self, host: str, port: int, *, tls: bool) -> str:
        """Return `tcp://HOST:PORT`, or `tls://`."""
        return f"{'tls' if tls else 'tcp'}://{host}:{port}"

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at `tcp://HOST:PORT`."""
        parts = urlsplit(url)
        return Endpoint(
            service=spec.name,
            kind=self.name,
            source=spec.source,
            url=url,
            host=parts.hostname or "",
            port=parts.port or 0,
        )

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Read the greeting."""
        began = time.monotonic()
        try:
            with contextlib.ExitStack() as stack:
                connection = stack.enter_context(
                    socket.create_connection((endpoint.host, endpoint.port), timeout=deadline)
                )
                if endpoint.ca_file:
                    tls = ssl.create_default_context(cafile=endpoint.ca_file)
                    connection = stack.enter_context(tls.wrap_socket(connection, server_hostname=endpoint.host))
                greeting = connection.recv(200).decode().strip()
        except OSError as error:
            return Ping(service=spec.name, status=PingStatus.DOWN, detail=str(error))
        says = spec.options.get("says", "hello")
        status = PingStatus.UP if greeting == says else PingStatus.DEGRADED
        return Ping(
            service=spec.name,
            status=status,
            latency=time.monotonic() - began,
            detail="" if greeting == says else f"it says {greeting!r}, not {says!r}",
            identity={"says": greeting},
        )

    @contextlib.contextmanager
    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> Iterator[SimpleNamespace]:
        """Give each worker the whole of it: there is nothing to share."""
        yield SimpleNamespace(endpoint=endpoint, reset=lambda: (spec, worker))


KIND = BannerKind()
