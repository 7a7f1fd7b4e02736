"""The kind `tcp`: who accepts, who greets, and who does neither."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time

import pytest
import trustme

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import StartError, UsageError
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services import get_kind
from envmatrix.services.processes.ports import free_port
from tests.framework.services.servers import context, fake, silent

KIND = get_kind("tcp")


def spec(**more) -> ServiceSpec:
    """Return a declaration."""
    return ServiceSpec(name="mail", kind="tcp", source=Source.REMOTE, **{"url": "tcp://unused:1", **more})


def ping(port: int, deadline: float = 5.0, scheme: str = "tcp", **more) -> Ping:
    """Probe a port once."""
    declared = spec(**more)
    return KIND.ping(declared, KIND.connect(declared, f"{scheme}://127.0.0.1:{port}"), deadline)


def greets(*pieces: bytes):
    """Return an answer that says something by itself, in several pieces."""

    def answer(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.01)

    return answer


def test_a_port_that_accepts_is_up():
    """Without a banner a connection is enough, and nothing is read; a closed port is down."""
    with fake(silent) as port:
        seen = ping(port)
    assert (seen.status, seen.version, seen.detail) == (PingStatus.UP, "", "")
    seen = ping(free_port())
    assert (seen.status, seen.detail) == (PingStatus.DOWN, "connection refused")


def test_a_greeting_is_compared():
    """A banner that comes in pieces is read to its end, and its first line is the version."""
    with fake(greets(b"22", b"0 mail.example ES", b"MTP\r\nmore")) as port:
        seen = ping(port, banner="220 mail.example ESMTP")
    assert (seen.status, seen.version) == (PingStatus.UP, "220 mail.example ESMTP")


@pytest.mark.fault("hostile-test-name")
def test_another_greeting_is_another_service():
    """What greets otherwise is degraded, as not the declared one; its words are one line."""
    with fake(greets(b"550 \x1b[31mno\n::error::x\xff")) as port:
        seen = ping(port, banner="220 ")
    assert (seen.status, seen.wrong_identity) == (PingStatus.DEGRADED, True)
    assert seen.detail.startswith("greets with '550 ")
    assert seen.detail.isprintable()


def test_a_server_that_hangs_up_or_says_nothing_is_down():
    """No greeting is no answer: within the deadline, and with what came."""
    with fake(greets(b"22")) as port:
        assert ping(port, banner="220 ").detail == "hangs up after b'22', expected '220 '"
    with fake(silent) as port:
        assert ping(port, 0.1, banner="220 ").detail == "timeout after 0.1 s"


def test_tls_is_spoken_and_verified(tmp_path):
    """Behind `tls://` the certificate is verified by `ca_file`, and its end is told; a stranger's is refused."""
    ca, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ca.issue_cert("127.0.0.1", not_after=dt.datetime(2040, 1, 1, tzinfo=dt.UTC)).configure_cert(tls)
    with fake(greets(b"220 hello\n"), tls) as port:
        seen = ping(port, scheme="tls", banner="220", ca_file=str(tmp_path / "ca.pem"))
        assert (seen.version, seen.certificate.expires) == (
            "220 hello",
            dt.datetime(2040, 1, 1, tzinfo=dt.UTC).timestamp(),
        )
        stranger = ping(port, scheme="tls", banner="220")
    assert (stranger.status, stranger.refused) == (PingStatus.DEGRADED, True)


def test_what_cannot_be(tmp_path):
    """A URL without a port and an embedded server are refused; workers share the whole."""
    with pytest.raises(UsageError, match="names no port"):
        KIND.connect(spec(), "tcp://mail.example")
    with context(tmp_path) as place, pytest.raises(StartError, match="cannot be embedded"):
        KIND.launch(spec(), place)
    endpoint = KIND.connect(spec(), KIND.address("127.0.0.1", 25, tls=True))
    assert endpoint.field("url") == "tls://127.0.0.1:25"
    with KIND.isolate(spec(), endpoint, "gw0") as part:
        assert (part.endpoint, part.reset()) == (endpoint, ())
