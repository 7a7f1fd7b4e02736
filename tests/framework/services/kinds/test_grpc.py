"""The kind `grpc`, against a real gRPC server with the health service."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
import trustme
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import MissingExtraError, StartError
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services import get_kind
from envmatrix.services.processes.ports import free_port
from tests.framework.services.servers import context, fake, silent

KIND = get_kind("grpc")
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Refusing(health_pb2_grpc.HealthServicer):
    """A health service that wants a login."""

    def Check(self, *call):  # noqa: N802  as the protocol says
        """Refuse."""
        call[1].abort(grpc.StatusCode.UNAUTHENTICATED, "who \x1b[31mare you\n::error::x")


@contextmanager
def serving(servicer: health_pb2_grpc.HealthServicer | None, credentials: grpc.ServerCredentials | None = None):
    """Serve a health service, or none at all; yield the port."""
    server = grpc.server(ThreadPoolExecutor(2))
    if servicer is not None:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    where = "127.0.0.1:0"
    port = server.add_secure_port(where, credentials) if credentials else server.add_insecure_port(where)
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait(5)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server that is up, with one service that is and one that is not."""
    servicer = health.HealthServicer()
    servicer.set("shop.Orders", SERVING)
    servicer.set("shop.Bills", NOT_SERVING)
    with serving(servicer) as port:
        yield port


def spec(**more) -> ServiceSpec:
    """Return a declaration."""
    return ServiceSpec(name="orders", kind="grpc", source=Source.REMOTE, **{"url": "grpc://unused", **more})


def ping(port: int, deadline: float = 5.0, scheme: str = "grpc", **more) -> Ping:
    """Probe a port once."""
    declared = spec(**more)
    return KIND.ping(declared, KIND.connect(declared, f"{scheme}://127.0.0.1:{port}"), deadline)


def test_up_where_it_says_serving(port):
    """The server as a whole, or the declared service of it, which is then its identity."""
    whole, one = ping(port), ping(port, identity={"service": "shop.Orders"})
    assert (whole.status, whole.detail, whole.identity) == (PingStatus.UP, "", {})
    assert (one.status, one.detail, one.identity) == (PingStatus.UP, "", {"service": "shop.Orders"})


def test_degraded_where_it_says_otherwise(port):
    """A service that is not serving says so; one that the server does not know is another than the declared one."""
    bills, nobody = ping(port, identity={"service": "shop.Bills"}), ping(port, identity={"service": "shop.Cart"})
    assert (bills.status, bills.detail) == (PingStatus.DEGRADED, "it says NOT_SERVING")
    assert (nobody.status, nobody.wrong_identity, nobody.detail) == (
        PingStatus.DEGRADED,
        True,
        "knows no service 'shop.Cart'",
    )
    assert ping(port, identity={"environment": "local"}).wrong_identity


@pytest.mark.fault("hostile-test-name")
def test_who_is_no_server_is_down():
    """Nobody, one who says nothing, a server without the protocol; a refusal is told in one line."""
    closed = ping(free_port())
    assert (closed.status, closed.detail[:12]) == (PingStatus.DOWN, "unavailable:")
    with fake(silent) as port:
        assert ping(port, 0.3).detail == "timeout after 0.3 s"
    with serving(None) as port:
        assert ping(port).detail == "does not speak the health protocol grpc.health.v1"
    with serving(Refusing()) as port:
        seen = ping(port)
    assert (seen.status, seen.refused) == (PingStatus.DEGRADED, True)
    assert seen.detail.isprintable()


def test_tls_is_verified(tmp_path):
    """By `ca_file`; a stranger's certificate, or a missing file, is no answer."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = ca.issue_cert("127.0.0.1")
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    with serving(health.HealthServicer(), grpc.ssl_server_credentials([pair])) as port:
        assert ping(port, scheme="grpcs", ca_file=str(tmp_path / "ca.pem")).detail == ""
        assert not ping(port, 1.0, scheme="grpcs").is_up
        assert ping(port, scheme="grpcs", ca_file="nowhere.pem").detail.startswith("was not asked: its ca_file")


def test_what_cannot_be(tmp_path, monkeypatch):
    """It cannot be embedded; workers share the whole; without its library the extra is named."""
    with context(tmp_path) as place, pytest.raises(StartError, match="cannot be embedded"):
        KIND.launch(spec(), place)
    endpoint = KIND.connect(spec(), KIND.address("::1", 5, tls=True).replace("::1", "[::1]"))
    with KIND.isolate(spec(), endpoint, "gw0") as part:
        assert (part.endpoint, part.reset()) == (endpoint, ())
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="grpc"):
        KIND.connect(spec(), "grpc://x")
