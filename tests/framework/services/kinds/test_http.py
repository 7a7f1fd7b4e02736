"""The kind `http`: who answers, how well, and what a ping says when nobody does."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from pathlib import Path

import httpx
import pytest
import trustme

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import StartError, UsageError
from envmatrix.masking import MASK
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services import get_kind
from envmatrix.services.kinds import http
from envmatrix.services.kinds.http import new_async_client, new_client
from envmatrix.services.probes.tls import client_context
from envmatrix.services.processes.ports import free_port
from tests.framework.services.place import eventually
from tests.framework.services.servers import context, drips, fake, resets_after, says, silent, web

KIND = get_kind("http")
WHO = {"service": "backend", "environment": "local", "version": "1.2", "commit": "abc", "status": "ok"}


def spec(**more):
    """Return a declaration."""
    return ServiceSpec(name="backend", kind="http", source=Source.REMOTE, **{"url": "http://unused", **more})


def ping(url: str, deadline: float = 5.0, **more) -> Ping:
    """Look once at a URL."""
    declared = spec(**more)
    return KIND.ping(declared, KIND.connect(declared, url), deadline)


def test_up_with_version_and_identity():
    """A healthy service is up, with the identity it claims and no more of its answer."""
    with web({"/health": (200, WHO)}) as site:
        seen = ping(site.url, identity={"service": "backend", "environment": "local"})
    assert (seen.status, seen.version, seen.detail) == (PingStatus.UP, "backend 1.2", "")
    assert seen.identity == {"service": "backend", "environment": "local", "version": "1.2", "commit": "abc"}
    assert seen.latency > 0


@pytest.mark.parametrize(
    "dependencies",
    [{"database": "up", "redis": "down"}, {"database": {"status": "up"}, "redis": {"status": "down"}, "x": "absent"}],
)
def test_degraded_names_what_is_down(dependencies):
    """A service that is not ready is degraded, and the dependencies it says are down are named."""
    with web({"/health": (200, WHO), "/ready": (503, {**WHO, "dependencies": dependencies})}) as site:
        seen = ping(site.url, ready="/ready")
    assert (seen.status, seen.detail) == (PingStatus.DEGRADED, "not ready: redis is down")


@pytest.mark.parametrize("path", ["/ready", "/health"])
def test_what_a_service_says_of_others_is_kept(path):
    """Each dependency it names, by whatever word, is `up`, `down`, `absent` or its own word; without a ready path too."""
    checks = {"db": {"status": "UP"}, "redis": "failing", "kafka": {"status": "disabled"}, "disk": "warn", "llm": True}
    with web({"/health": (200, WHO), path: (200, {**WHO, "checks": checks})}) as site:
        seen = ping(site.url, ready="/ready" if path == "/ready" else None)
    assert seen.is_up
    assert seen.dependencies == {"db": "up", "redis": "down", "kafka": "absent", "disk": "warn", "llm": "up"}


@pytest.mark.fault("canary-secret")
def test_what_a_service_says_of_others_is_bounded_and_masked():
    """A hostile or careless answer fills no run file and tells no password."""
    secret = "postgres://u:hunter2hunter2@h/d"
    table = {secret: secret, **{f"{number}\n" + "x" * 99: "y" * 99 for number in range(200)}}
    with web({"/health": (200, {**WHO, "dependencies": table})}) as site:
        seen = ping(site.url)
    assert len(seen.dependencies) == 50
    assert all(len(word) <= 60 and word.isprintable() for pair in seen.dependencies.items() for word in pair)
    assert "hunter2" not in str(seen.dependencies)


def test_ready_is_up():
    """A service whose ready path answers 200 is up."""
    with web({"/health": (200, WHO), "/ready": (200, {})}) as site:
        assert ping(site.url, ready="/ready").is_up


@pytest.mark.parametrize(("path", "status"), [("/ready", 500), ("/health", 404), ("/health", 503)])
def test_other_answers_are_down(path, status):
    """An answer that is no answer to the question is down, and names path and status."""
    with web({"/health": (200, WHO), "/ready": (200, WHO), path: (status, WHO)}) as site:
        seen = ping(site.url, ready="/ready")
    assert (seen.status, seen.detail) == (PingStatus.DOWN, f"GET {path} answers {status}")


@pytest.mark.fault("health-200-wrong-service")
def test_another_service_is_down():
    """Who answers 200 as somebody else is down, and both names are told."""
    with web({"/health": (200, {**WHO, "service": "auth", "environment": "staging"})}) as site:
        seen = ping(site.url, identity={"service": "backend", "environment": "local"})
    assert (seen.status, seen.detail) == (PingStatus.DEGRADED, "answers as auth/staging, expected backend/local")


@pytest.mark.fault("health-200-wrong-service")
def test_a_page_is_nobody():
    """A health page that is no JSON cannot prove an identity that was demanded; without demands it is up."""
    with web({"/health": (200, "<h1>Welcome to nginx!</h1>")}) as site:
        assert ping(site.url).is_up
        seen = ping(site.url, identity={"service": "backend"})
    assert (seen.status, seen.detail) == (
        PingStatus.DOWN,
        "GET /health answers 200 without a JSON object: '<h1>Welcome to nginx!</h1>'",
    )


@pytest.mark.parametrize("body", [True, ["up"], "OK", "", '{"status": "o'], ids=repr)
def test_any_200_is_up(body: object):
    """A health answer need not be a JSON object, nor anything at all, where no identity is demanded."""
    with web({"/health": (200, body)}) as site:
        assert ping(site.url).is_up
        assert ping(site.url, identity={"commit": ""}).is_up
        assert ping(site.url, identity={"service": "shop"}).status is PingStatus.DOWN


@pytest.mark.fault("truncated-json")
def test_truncated_json():
    """JSON that ends too early cannot prove an identity that was demanded: down, with its beginning."""
    with web({"/health": (200, '{"service": "back')}) as site:
        seen = ping(site.url, identity={"service": "backend"})
    assert seen.status is PingStatus.DOWN
    assert seen.detail == 'GET /health answers 200 without a JSON object: \'{"service": "back\''


@pytest.mark.fault("hung-accept")
def test_hung_accept():
    """A server that takes the connection and never answers is down by the deadline."""
    with fake(silent) as port:
        assert ping(f"http://127.0.0.1:{port}", 0.2).detail == "timeout after 0.2 s"


@pytest.mark.fault("hung-accept")
@pytest.mark.parametrize(
    ("beginning", "end"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"\r\nContent-Length: 2\r\n\r\n{}"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 52\r\n\r\n", b"{}"),
    ],
    ids=["head", "body"],
)
def test_slow_drip(beginning, end):
    """A server whose answer is whole but comes byte by byte does not outlast the deadline, nor does the asking."""
    with fake(drips(beginning, end)) as port:
        assert ping(f"http://127.0.0.1:{port}", 0.2).detail == "timeout after 0.2 s"
    assert eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "ping backend"])


@pytest.mark.fault("reset-mid-body")
def test_reset_mid_body():
    """A connection that breaks in the middle of the answer is down, and said to be broken."""
    with fake(resets_after(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"serv')) as port:
        seen = ping(f"http://127.0.0.1:{port}")
    assert (seen.status, seen.detail) == (PingStatus.DOWN, "connection reset")


def test_cut_body():
    """A body shorter than announced is down."""
    with fake(says(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"serv')) as port:
        seen = ping(f"http://127.0.0.1:{port}")
    assert (seen.status, "peer closed connection" in seen.detail) == (PingStatus.DOWN, True)


def test_huge_answer():
    """An answer of unreasonable size is not read to its end."""
    with web({"/health": (200, "x" * 200_000)}) as site:
        assert ping(site.url).detail == "answers with more than 64 KiB"


def test_connection_refused():
    """Nobody there: refused."""
    assert ping(f"http://127.0.0.1:{free_port()}").detail == "connection refused"


@pytest.mark.fault("dns-failure")
def test_dns_failure():
    """A name that nobody knows is down, and said to be a matter of the name."""
    assert ping("http://nowhere.invalid").detail.startswith("cannot resolve the host name: ")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A throw-away authority, and the file that makes clients trust it."""
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return ca, str(file)


def server_tls(ca: trustme.CA, host: str) -> ssl.SSLContext:
    """Return a server's settings with a certificate for a host."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(host).configure_cert(tls)
    return tls


@pytest.mark.fault("tls-bad-cert")
def test_certificates_are_verified(authority):
    """A certificate of an unknown authority or for another host is down; the declared authority's is up."""
    ca, file = authority
    with web({"/health": (200, WHO)}, server_tls(ca, "localhost")) as site:
        url = f"https://localhost:{site.port}"
        assert ping(url, ca_file=file).is_up
        assert ping(url).detail == "certificate verify failed: unable to get local issuer certificate"
        stranger = ping(f"https://127.0.0.1:{site.port}", ca_file=file)
    assert "IP address mismatch" in stranger.detail
    assert stranger.detail.startswith("certificate verify failed: ")


@pytest.mark.fault("tls-bad-cert")
def test_a_certificate_that_is_not_to_be_verified(authority):
    """On this machine alone: a stranger's is taken, by a ping and by our clients, and has no end that could be believed."""
    ca, _ = authority
    with web({"/health": (200, WHO)}, server_tls(ca, "elsewhere.example")) as site:
        url = f"https://127.0.0.1:{site.port}"
        trusting = spec(url=url, verify=False)
        seen = KIND.ping(trusting, KIND.connect(trusting, url), 5.0)
        with new_client(KIND.connect(trusting, url)) as client:
            assert client.get("/health").json() == WHO
    assert (seen.is_up, seen.certificate) == (True, None)


@pytest.mark.fault("tls-bad-cert")
@pytest.mark.parametrize(
    "url", ["https://shop.example.com", "https://192.0.2.1", "https://127.0.0.1.example.com", "https://"]
)
def test_verification_is_off_on_this_machine_only(url):
    """Elsewhere somebody may stand between."""
    with pytest.raises(ValueError, match="verify = false is for a url on this machine"):
        spec(url=url, verify=False)


def test_a_ca_file_that_is_not_there_is_named():
    """Nothing is asked without the authority that was declared; workers on other machines need it, too."""
    assert ping("https://localhost:1", ca_file="/no/ca.pem").detail == (
        "was not asked: its ca_file /no/ca.pem is not on this machine"
    )


def test_tls_against_plain_http():
    """TLS that meets plain HTTP is down."""
    with web({"/health": (200, WHO)}) as site:
        assert ping(site.url.replace("http", "https")).detail.startswith("TLS failed: ")


@pytest.mark.fault("ssrf-endpoint")
@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "2852039166", "[::ffff:169.254.169.254]", "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200"],
)
def test_metadata_addresses_are_never_asked(host):
    """However it is spelled, a link-local or metadata address is refused without a packet sent."""
    seen = ping(f"http://{host}", 0.5)
    assert (seen.status, "link-local or metadata address" in seen.detail) == (PingStatus.DOWN, True)


@pytest.mark.fault("ssrf-endpoint")
def test_redirects_are_not_followed():
    """A health path that sends us elsewhere is down: where it leads was not declared."""
    with web({"/health": (302, WHO)}) as site:
        assert ping(site.url).detail == "GET /health answers 302"


@pytest.mark.fault("ssrf-endpoint")
def test_proxies_of_the_environment_are_ignored(monkeypatch):
    """What stands in HTTP_PROXY changes nothing."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with web({"/health": (200, WHO)}) as site:
        assert ping(site.url).is_up


@pytest.mark.fault("canary-secret")
def test_no_secret_in_a_ping():
    """A server that repeats the password, or sends terminal escapes, gets neither into the report."""
    with web({"/health": (200, "{broken hunter2hunter2 \x1b[31m\n")}) as site:
        seen = ping(site.url.replace("http://", "http://me:hunter2hunter2@"), identity={"service": "backend"})
        assert site.asked[0][2]["Host"] == f"127.0.0.1:{site.port}"
    assert seen.detail.endswith(f"without a JSON object: '{{broken {MASK} \\x1b[31m\\n'")


@pytest.mark.parametrize("url", ["ftp://host", "http://", "localhost:80", "http://host:port", "http://[::1"])
def test_unusable_urls(url):
    """A URL that no HTTP client can use is one line that says which spelling is."""
    with pytest.raises(UsageError, match=r"service 'backend': its url .* Use http://HOST:PORT or https://HOST:PORT"):
        KIND.connect(spec(), url)


def test_connect_and_address():
    """An endpoint knows host and port; a command's address is one that connect understands."""
    endpoint = KIND.connect(spec(), KIND.address("127.0.0.1", 8000, tls=True))
    assert (endpoint.host, endpoint.port, endpoint.field("url")) == ("127.0.0.1", 8000, "https://127.0.0.1:8000")
    assert KIND.connect(spec(), "https://host/base/").port == 443
    assert KIND.connect(spec(), "https://host/base/").field("url") == "https://host/base"


def test_cannot_be_embedded(tmp_path: Path):
    """There is no HTTP service in a wheel; the error says what to declare instead."""
    with context(tmp_path) as place, pytest.raises(StartError, match='use source = "process"'):
        KIND.launch(spec(), place)


def test_isolation_is_the_whole():
    """A worker gets the whole service, and a reset that changes nothing."""
    endpoint = KIND.connect(spec(), "http://host")
    with KIND.isolate(spec(), endpoint, "gw0") as part:
        part.reset()
        assert part.endpoint == endpoint


def test_clients(authority):
    """Clients have the base URL, the shared TLS settings, no proxies, and follow nothing."""
    ca, file = authority
    with web({"/health": (200, WHO)}, server_tls(ca, "localhost")) as site:
        endpoint = KIND.connect(spec(ca_file=file), f"https://localhost:{site.port}")
        with new_client(endpoint, headers={"X-Mine": "1"}) as client:
            assert client.get("/health").json() == WHO
            assert (client.follow_redirects, client.trust_env) == (False, False)
        assert site.asked[0][2]["X-Mine"] == "1"
    assert client_context(endpoint) is client_context(endpoint)


def test_async_client_outlives_its_loop():
    """One asynchronous client works in two event loops after each other, and leaves no socket open."""
    with web({"/health": (200, WHO)}) as site:
        client = new_async_client(KIND.connect(spec(), site.url))

        async def ask() -> httpx.Response:
            return await client.get("/health")

        assert [asyncio.run(ask()).status_code for _ in range(2)] == [200, 200]
        asyncio.run(client.aclose())


def test_an_idle_connection_is_not_used_again(monkeypatch):
    """A server closes it some day, maybe just as the next request is on its way."""
    monkeypatch.setattr(http, "_IDLE", 0.01)
    with web({"/a": (200, WHO)}) as site, new_client(KIND.connect(spec(), site.url)) as client:
        first, second = (client.get("/a").extensions["network_stream"].get_extra_info("client_addr") for _ in "ab")
        time.sleep(0.05)
        third = client.get("/a").extensions["network_stream"].get_extra_info("client_addr")
    assert first == second != third
