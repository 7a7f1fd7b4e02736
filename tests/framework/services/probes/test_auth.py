"""What proves to a service who asks: made in one place, carried by probes, the protected path and clients alike."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import urllib.parse
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import httpx
import pytest
import trustme

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import AccessRefusedError, UnreachableError
from envmatrix.masking import MASK, MASKER
from envmatrix.runs.ping import PingStatus
from envmatrix.services import Endpoint, get_kind
from envmatrix.services.kinds.http import new_async_client, new_client
from envmatrix.services.probes.access import ask_protected
from tests.framework.environments.declare import declare, load, refusal
from tests.framework.services.servers import Web, web

KIND = get_kind("http")
SECRET = "hunter2-hunter2"
BASIC = f"Basic {b64encode(f'me:{SECRET}'.encode()).decode()}"

DECLARED = {
    "basic": {"type": "basic", "username": "me", "password": SECRET},
    "bearer": {"type": "bearer", "token": SECRET},
    "api-key": {"type": "api-key", "key": SECRET, "header": "X-Shop-Key"},
    "cookie": {"type": "cookie", "cookie": "session", "value": SECRET},
    "oauth2-password": {"type": "oauth2-password", "token_url": "/token", "username": "me", "password": SECRET},
    "oauth2-client-credentials": {
        "type": "oauth2-client-credentials",
        "token_url": "/token",
        "client_id": "me",
        "client_secret": SECRET,
        "scope": "read",
    },
    "command": {"type": "command", "command": ["echo", SECRET]},
}
"""One declaration of each type, all of them right."""

PROOFS = {("authorization", BASIC), ("x-shop-key", SECRET), ("cookie", f"session={SECRET}")}


@dataclass
class Shop:
    """A server all of whose paths but the one for tokens need one of the proofs; its tokens can be ended."""

    good: set[str] = field(default_factory=lambda: {SECRET})
    made: int = 0

    def answer(self, headers: Mapping[str, str], _: bytes) -> tuple[int, object]:
        """200 for who proves who asks."""
        token = (headers.get("Authorization") or "").removeprefix("Bearer ")
        proven = PROOFS & {(name.lower(), value) for name, value in headers.items()} or token in self.good
        return (200, {"service": "shop"}) if proven else (401, "who are you?")

    def token(self, headers: Mapping[str, str], body: bytes) -> tuple[int, object]:
        """A token of RFC 6749 for the right secret."""
        form = dict(urllib.parse.parse_qsl(body.decode()))
        by_password = (form.get("grant_type"), form.get("username"), form.get("password")) == ("password", "me", SECRET)
        by_client = (form.get("grant_type"), form.get("scope"), headers.get("Authorization")) == (
            *("client_credentials", "read"),
            BASIC,
        )
        if not (by_password or by_client):
            return 401, {"error": "invalid_client"}
        token = secrets.token_hex(12)
        self.good.add(token)
        self.made += 1
        return 200, {"access_token": token, "token_type": "bearer"}


@pytest.fixture
def shop() -> Iterator[tuple[Shop, Web]]:
    """A running shop."""
    state = Shop()
    with web({"/health": state.answer, "/mine": state.answer, "/token": state.token}) as site:
        yield state, site


def service(url: str, **more) -> tuple[ServiceSpec, Endpoint]:
    """Return a declaration and its endpoint."""
    spec = ServiceSpec(
        name="shop", kind="http", source=Source.REMOTE, **{"url": url, "protected": "/mine", "ping_deadline": 5, **more}
    )
    return spec, KIND.connect(spec, url)


@pytest.mark.parametrize("kind", DECLARED)
def test_every_request_proves_who_asks(shop: tuple[Shop, Web], kind: str):
    """A ping of a health path behind the login, the protected path and both clients get in; without it nobody does."""
    spec, endpoint = service(shop[1].url, auth=DECLARED[kind])
    assert KIND.ping(spec, endpoint, 5.0).is_up
    assert ask_protected(spec, endpoint, {}).status == 200
    assert ask_protected(spec, endpoint, None).status == 401
    with new_client(endpoint) as client, new_client(endpoint, auth=None) as anonymous:
        assert [client.get("/mine").status_code, anonymous.get("/mine").status_code] == [200, 401]

    async def status() -> int:
        async with new_async_client(endpoint) as client:
            return (await client.get("/mine")).status_code

    assert asyncio.run(status()) == 200


@pytest.mark.parametrize("kind", DECLARED)
@pytest.mark.fault("canary-secret")
def test_a_wrong_secret_is_refused_by_evidence(shop: tuple[Shop, Web], kind: str):
    """Degraded and refused, with the request that was refused, whoever was asked; the secret is not told."""
    wrong = {
        name: value
        if name in {"type", "token_url", "header", "cookie", "client_id", "username", "scope"}
        else "wrong-wrong"
        for name, value in DECLARED[kind].items()
    }
    wrong |= {"command": ["printf", r"wr%s", "ong-wrong"]} if kind == "command" else {}
    MASKER.add("wrong-wrong")
    spec, endpoint = service(shop[1].url, auth=wrong)
    seen = KIND.ping(spec, endpoint, 5.0)
    asked, status = ("POST /token", 401) if kind.startswith("oauth2") else ("GET /health", 401)
    assert (seen.status, seen.refused) == (PingStatus.DEGRADED, True)
    assert seen.detail.startswith(f"{asked} answers {status} to the declared {kind}")
    assert "wrong-wrong" not in f"{seen} {endpoint!r} {spec!r}"


@pytest.mark.fault("expired-token-mid-run")
@pytest.mark.parametrize("kind", ["oauth2-password", "oauth2-client-credentials"])
def test_an_expired_token_is_renewed_once(shop: tuple[Shop, Web], kind: str):
    """One token serves all requests; an expired one is renewed once, and one refused again is an answer."""
    state, site = shop
    spec, endpoint = service(site.url, auth=DECLARED[kind])
    with new_client(endpoint) as client:
        assert [client.get("/mine").status_code for _ in range(3)] == [200] * 3
        assert ask_protected(spec, endpoint, {}).status == 200
        assert state.made == 1
        state.good.clear()
        assert client.get("/mine").status_code == 200
        assert state.made == 2
        state.good.clear()
        assert ask_protected(spec, endpoint, {}).status == 200
        assert state.made == 3
        site.answers["/mine"] = (401, "never")
        assert client.get("/mine").status_code == 401
        assert state.made == 4


@pytest.mark.fault("canary-secret")
def test_a_token_is_secret_from_the_moment_that_it_is_made(shop: tuple[Shop, Web]):
    """Whatever repeats it, a log or a body, shows stars."""
    endpoint = service(shop[1].url, auth=DECLARED["oauth2-password"])[1]
    with new_client(endpoint) as client:
        client.get("/mine")
    assert [MASKER.mask(token) for token in shop[0].good - {SECRET}] == [MASK]


def test_a_client_without_a_token_says_why(shop: tuple[Shop, Web]):
    """What refuses to make a token, and what cannot be asked, are errors of the service, not of the test."""
    refused = service(shop[1].url, auth=DECLARED["oauth2-password"] | {"password": "wrong"})[1]
    away = service(shop[1].url, auth=DECLARED["oauth2-password"] | {"token_url": "http://127.0.0.1:1/token"})[1]
    broken = service(shop[1].url, auth={"type": "command", "command": ["false"]})[1]
    with new_client(refused) as client, pytest.raises(AccessRefusedError, match="POST /token answers 401"):
        client.get("/mine")
    with new_client(away) as client, pytest.raises(UnreachableError, match="connection refused"):
        client.get("/mine")
    with new_client(broken) as client, pytest.raises(UnreachableError, match="false ends with exit code 1"):
        client.get("/mine")


@pytest.mark.fault("canary-secret")
def test_other_servers_get_no_proof(shop: tuple[Shop, Web]):
    """Neither a request elsewhere by a client nor a redirect of the health path takes it along; a user's token stays."""
    with web({"/health": (200, {})}) as other:
        shop[1].answers["/health"] = (302, f"{other.url}/health")
        spec, endpoint = service(shop[1].url, auth=DECLARED["basic"], headers={"X-Way": "in"}, follow_redirects=True)
        assert KIND.ping(spec, endpoint, 5.0).is_up
        with new_client(endpoint) as client:
            client.get(f"{other.url}/health")
            client.get("/mine", headers={"Authorization": "Bearer a-user"})
    assert [headers.get("Authorization") for _, _, headers in other.asked] == [None, None]
    assert "X-Way" not in other.asked[0][2]
    assert (shop[1].asked[-1][2]["Authorization"], shop[1].asked[-1][2]["X-Way"]) == ("Bearer a-user", "in")


def test_a_cookie_joins_others():
    """A declared cookie is sent beside those that the server has set."""
    with web({"/mine": (401, {})}) as site:
        with new_client(service(site.url, auth=DECLARED["cookie"])[1], cookies={"theme": "dark"}) as client:
            client.get("/mine")
        assert [each["Cookie"] for _, _, each in site.asked] == [f"theme=dark; session={SECRET}"]


def test_headers_and_timeout_are_the_clients():
    """What is declared is sent with each request, what a test sends wins, and the time to wait is the declared one."""
    with web({"/health": (200, {}), "/mine": (200, {})}) as site:
        spec, endpoint = service(site.url, headers={"X-Way": "in", "User-Agent": "matrix"}, timeout=3)
        assert KIND.ping(spec, endpoint, 5.0).is_up
        ask_protected(spec, endpoint, None)
        with new_client(endpoint, headers={"X-Way": "out"}) as client:
            client.get("/mine")
            assert client.timeout == httpx.Timeout(3)
    assert [each["X-Way"] for _, _, each in site.asked] == ["in", "in", "out"]
    assert site.asked[2][2]["User-Agent"] == "matrix"


def test_a_client_certificate_is_shown(tmp_path):
    """A server that wants one gets it from probes and clients; without it, or where it is not on this machine, it is down."""
    ca, mine = trustme.CA(), tmp_path / "mine.pem"
    file, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    ca.cert_pem.write_to_path(str(file))
    certificate = ca.issue_cert("tests")
    certificate.cert_chain_pems[0].write_to_path(str(mine))
    certificate.private_key_pem.write_to_path(str(key))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(tls)
    ca.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    with web({"/health": (200, {})}, tls) as site:
        url, own = f"https://localhost:{site.port}", {"client_cert": str(mine), "client_key": str(key)}
        spec, endpoint = service(url, ca_file=str(file), **own)
        assert KIND.ping(spec, endpoint, 5.0).is_up
        with new_client(endpoint) as client:
            assert client.get("/health").status_code == 200
        assert not KIND.ping(*service(url, ca_file=str(file)), 5.0).is_up
        gone = KIND.ping(*service(url, ca_file=str(file), client_cert="/no.pem", client_key="/no.key"), 5.0)
    assert gone.detail == "was not asked: client_cert /no.pem and its key cannot be used here"


SHOP = '[services.shop]\nkind = "http"\nsource = "remote"\nurl = "http://h"\n'


@pytest.mark.fault("unknown-key")
@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('auth = { type = "bearer" }', "services.shop.auth.bearer needs the key 'token'"),
        (
            'auth = { type = "oauth2-password", token_url = "/t", username = "u", password = "p", client = "x" }',
            "unknown key 'client' in services.shop.auth.oauth2-password. Did you mean 'client_id'?",
        ),
        ('auth = { type = "bearer", token = "a\\nb" }', "another character that no header can carry"),
        ('client_cert = "/x.pem"', "client_cert and client_key belong together"),
        ('client_cert = "/x"\nclient_key = "/y"', "'client_cert' does nothing for a service of url = 'http://…'"),
    ],
)
def test_a_wrong_declaration_is_one_line(tmp_path, line: str, error: str):
    """With the key, its nearest right spelling, and no secret."""
    assert error in refusal(tmp_path, SHOP + line + "\n")


@pytest.mark.fault("canary-secret")
def test_what_is_declared_is_masked(tmp_path):
    """Secrets of `auth`, and of headers with telling names, are masked wherever they would be shown; other headers not."""
    declare(
        tmp_path,
        SHOP + 'headers = { X-Gate-Secret = "${A}", Accept = "application/x-shop" }\n'
        'auth = { type = "basic", username = "someone", password = "${B}" }\n',
    )
    loaded = load(tmp_path, A="gate-hidden-1", B="basic-hidden-2")
    both = b64encode(b"someone:basic-hidden-2").decode()
    assert MASKER.mask(f"gate-hidden-1 basic-hidden-2 x{both} application/x-shop") == (
        f"{MASK} {MASK} x{MASK} application/x-shop"
    )
    assert "hidden" not in f"{loaded!r} {loaded.masked()}"
