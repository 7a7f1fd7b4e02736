"""The proxy before a service: what each fault does to clients, and that nothing of it stays once the fault is over."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from envmatrix.environments import Fault, ServiceSpec, Source
from envmatrix.runs.ping import Ping
from envmatrix.services import get_kind
from envmatrix.services.proxy import FaultProxy, ProxyLoop
from envmatrix.services.supervisor.pings import ping_all
from tests.framework.services.place import eventually

BODY = b"x" * 50


class Handler(BaseHTTPRequestHandler):
    """Answers `x`, or what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer `x`."""
        self._answer(BODY)

    def do_POST(self) -> None:
        """Answer the body."""
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    """A server that keeps its connections."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a reset is what we want to see
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def module_proxy(server: ThreadingHTTPServer) -> FaultProxy:
    """A proxy before the server."""
    proxy = FaultProxy(ProxyLoop(), frozenset({"/health"}))
    proxy.lead_to("127.0.0.1", server.server_port)
    return proxy


@pytest.fixture
def proxy(module_proxy: FaultProxy) -> Iterator[FaultProxy]:
    """The proxy, without a fault at first and in the end."""
    yield module_proxy
    module_proxy.set_fault(None)


Connect = Callable[[], http.client.HTTPConnection]


@pytest.fixture
def connect(proxy: FaultProxy) -> Iterator[Connect]:
    """Make connections through the proxy, and close them in the end."""
    made: list[http.client.HTTPConnection] = []

    def new() -> http.client.HTTPConnection:
        made.append(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5))
        return made[-1]

    yield new
    for each in made:
        each.close()


def get(connection: http.client.HTTPConnection, path: str = "/") -> int:
    """Return the status of an answer, which is read to its end."""
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def ping(proxy: FaultProxy, number: int = 1) -> Ping:
    """Return a ping through the proxy."""
    spec = ServiceSpec(name="x", kind="http", source=Source.REMOTE, url="http://x", health="/", ping_deadline=0.3)
    endpoint = get_kind("http").connect(spec, f"http://127.0.0.1:{proxy.port}")
    return ping_all({"x": (spec, endpoint)}, number)["x"]


def test_without_a_fault_everything_gets_through(connect: Connect) -> None:
    """Several requests on one connection, and a body that is larger than any buffer, come back as they were sent."""
    connection = connect()
    assert [get(connection) for _ in range(3)] == [200] * 3
    body = bytes(range(256)) * 40_000
    connection.request("POST", "/", body)
    assert connection.getresponse().read() == body


def test_a_client_that_has_sent_all_still_gets_its_answer(proxy: FaultProxy) -> None:
    """The end of the requests is passed on, and the answer comes after it."""
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        received = b""
        while more := client.recv(1 << 16):
            received += more
    assert received.endswith(BODY)


def test_down_refuses_and_breaks_what_was_open(proxy: FaultProxy, connect: Connect) -> None:
    """Nobody listens, and the port stays ours; once it is over, the same port leads to the service again."""
    connection = connect()
    assert get(connection) == 200
    proxy.set_fault(Fault(fault="down"))
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        get(connection)
    with pytest.raises(ConnectionRefusedError):
        get(connect())
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", proxy.port))
    assert ping(proxy).detail == "connection refused"
    proxy.set_fault(None)
    assert get(connect()) == 200


def test_reset_takes_a_connection_and_resets_it(proxy: FaultProxy, connect: Connect) -> None:
    """The client gets an error, not the end of an answer."""
    proxy.set_fault(Fault(fault="reset"))
    with pytest.raises(ConnectionResetError):
        get(connect())


@pytest.mark.fault("hung-accept")
def test_a_blackhole_takes_a_connection_and_never_answers(proxy: FaultProxy) -> None:
    """A ping ends by its deadline and says so; whoever waits when it is over is let go."""
    proxy.set_fault(Fault(fault="blackhole"))
    seen = ping(proxy)
    assert (seen.status, seen.detail) == ("down", "timeout after 0.3 s")
    assert eventually(lambda: not proxy.clients)
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as waiting:
        waiting.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert eventually(lambda: proxy.clients)
        proxy.set_fault(None)
        with pytest.raises(ConnectionResetError):
            waiting.recv(1)


@pytest.mark.fault("latency-spike")
def test_latency_makes_each_answer_late_on_connections_that_were_open_too(proxy: FaultProxy, connect: Connect) -> None:
    """A slow service is up, and its ping says how slow; nothing is lost or mixed up."""
    connection = connect()
    assert get(connection) == 200
    proxy.set_fault(Fault(fault="latency", latency=0.1))
    began = time.monotonic()
    assert get(connection) == 200
    assert time.monotonic() - began >= 0.1
    seen = ping(proxy)
    assert seen.is_up
    assert seen.latency >= 0.1
    connection.request("POST", "/", body := bytes(range(256)) * 4_000)
    assert connection.getresponse().read() == body


def test_slow_drip_sends_so_many_bytes_a_second(proxy: FaultProxy, connect: Connect) -> None:
    """All of it comes in the end."""
    proxy.set_fault(Fault(fault="slow_drip", rate=500))
    began = time.monotonic()
    assert get(connect()) == 200
    assert time.monotonic() - began >= len(BODY) / 500


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(fault="http_error", status=502), [502, 502, 502, 502]),
        (Fault(fault="http_error", first=2), [503, 503, 200, 200]),
        (Fault(fault="http_error", share=0.5), [200, 503, 200, 503]),
    ],
    ids=["all", "first", "share"],
)
def test_http_error_answers_in_the_services_place(
    proxy: FaultProxy, connect: Connect, fault: Fault, expected: list[int]
) -> None:
    """All requests, the first so many, or a share of them, also of those that come by one kept connection."""
    proxy.set_fault(fault)
    connection = connect()
    assert [get(connection) for _ in range(4)] == expected


def test_pings_are_no_requests_that_an_error_of_some_requests_counts(proxy: FaultProxy, connect: Connect) -> None:
    """The first request of a test fails, however often the health path was asked before; in an outage that fails, too."""
    proxy.set_fault(Fault(fault="http_error", first=1))
    assert [get(connect(), path) for path in ("/health", "/health", "/", "/")] == [200, 200, 503, 200]
    proxy.set_fault(Fault(fault="http_error"))
    assert get(connect(), "/health") == 503


@pytest.mark.fault("flapping-health")
def test_some_failed_looks_are_flapping_and_the_majority_counts(proxy: FaultProxy) -> None:
    """One of three looks fails: the service is up, and the ping says what happened."""
    proxy.set_fault(Fault(fault="http_error", first=1))
    seen = ping(proxy, 3)
    assert (seen.is_up, seen.is_flapping, seen.looks) == (True, True, 3)
    assert seen.detail == "answered 2 of 3 looks: GET / answers 503"


def test_flap_is_down_and_up_by_turns(proxy: FaultProxy) -> None:
    """Connections are refused for a while, then taken, then refused."""
    proxy.set_fault(Fault(fault="flap", interval=0.1))
    seen: list[bool] = []
    end = time.monotonic() + 5
    while seen != [False, True, False] and time.monotonic() < end:
        up = ping(proxy).is_up
        if seen[-1:] != [up]:
            seen.append(up)
    assert seen == [False, True, False]


def test_a_service_that_does_not_listen_resets(
    proxy: FaultProxy, connect: Connect, server: ThreadingHTTPServer
) -> None:
    """The proxy is there while the service behind it is not, and follows it to another port."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        proxy.lead_to(*nobody.getsockname())
        with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
            get(connect())
    proxy.lead_to("127.0.0.1", server.server_port)
    assert get(connect()) == 200
