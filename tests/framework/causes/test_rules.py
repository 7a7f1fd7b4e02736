"""The rules that decide a cause, one by one."""

import asyncio
import json
import socket
from collections.abc import Callable
from dataclasses import replace

import httpx
import psycopg
import pytest
import redis
import websockets
from msgspec import structs
from websockets.frames import Close

from envmatrix.causes import HARNESS_RULES, RULES, Breaker, Facts, ProductCrash, Promise, decide, rule_named
from envmatrix.contracts import ContractFinding, RealServices
from envmatrix.exceptions import (
    AccessRefusedError,
    ContractError,
    IdentityError,
    LeftOverError,
    MissingFixtureError,
    StartError,
    SupervisorError,
    UnknownCapabilityError,
    UserError,
)
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.probes.access import Access
from envmatrix.services.probes.exchanges import Exchange, hooks
from envmatrix.services.processes.ports import free_port
from envmatrix.services.websocket import open_websocket

UP = Ping(service="backend", status=PingStatus.UP)
DOWN = Ping(service="backend", status=PingStatus.DOWN, detail="connection refused")
DEGRADED = Ping(service="backend", status=PingStatus.DEGRADED, detail="not ready: database is down")
STRANGER = Ping(
    service="backend",
    status=PingStatus.DEGRADED,
    identity={"service": "shop"},
    wrong_identity=True,
    detail="answers as shop, expected backend",
)
FLAPPING = structs.replace(UP, detail="answered 2 of 3 looks: connection reset", looks=3, failed_looks=1)
WORKS = Access("backend", "/me", 200)


def facts(*chain: BaseException, ping: Ping = UP, required: bool = True, **more: object) -> Facts:
    """Facts about one failure."""
    names = frozenset({ping.service}) if required else frozenset()
    return Facts("call", chain, {ping.service: ping}, names, **more)  # type: ignore[arg-type]  # Facts' own keywords


def said(status: int, *, is_json: bool = False) -> tuple[Exchange, ...]:
    """One request of a test."""
    return (Exchange("GET", "/api/me", status, is_json),)


def not_json(read: Callable[[str], object]) -> json.JSONDecodeError:
    """What comes of half a JSON document."""
    try:
        read('{"user": "a')
    except json.JSONDecodeError as error:
        return error
    raise AssertionError


def answer_of(text: str) -> object:
    """Read a text as the JSON of an answer that a client of the test's own got."""
    return httpx.Response(200, text=text).json()


def answer_to_us(text: str) -> object:
    """Read a text as the JSON of an answer that a client of ours got."""
    answer = httpx.MockTransport(lambda _: httpx.Response(200, text=text, headers={"Content-Type": "application/json"}))
    with httpx.Client(transport=answer, event_hooks=hooks()) as client:
        return client.get("http://shop/api/me").json()


class OperationalError(Exception):
    """A project's own, of a name that database clients use too."""


CUT = httpx.RemoteProtocolError("peer closed connection without sending complete message body (received 3 bytes)")

OPEN = Promise("anybody is let in", Breaker.PRODUCT)
REFUSED = structs.replace(DEGRADED, refused=True, detail="login refused: WRONGPASS")
AT = 'connection failed: connection to server at "127.0.0.1", port 1 failed:'
HERE = {"backend": "127.0.0.1:4711", "mail": ""}


def closed(code: int | None) -> websockets.ConnectionClosedError:
    """What comes of a WebSocket that the other side closed with a code, or lost without one."""
    return websockets.ConnectionClosedError(None if code is None else Close(code, ""), None, None)


def refused_at(host: str, port: int) -> BaseException:
    """What comes of a connection to an address where nobody listens."""
    try:
        socket.create_connection((host, port), 1)
    except ConnectionRefusedError as error:
        return error
    raise AssertionError


def own_failure() -> BaseException:
    """What comes of bytes where our own code expects a text."""
    try:
        MASKER.mask(b"bytes")  # type: ignore[arg-type]  # the fault
    except (AttributeError, TypeError) as error:  # the first where a run has made secrets known
        return error
    raise AssertionError


SKEWED = Access("backend", "/me", 401, skew=3600.2)
CRASH = ProductCrash("backend", -11, request="POST /orders → no answer")

CASES = [
    (facts(MissingFixtureError("real_services", ("a::b",), ())), "C101", "no conftest.py above provides it"),
    (
        facts(ContractError("real_services", "conftest.py:3", (ContractFinding("C110", "auth_url", "no auth_url"),))),
        "C102",
        "conftest.py:3",
    ),
    (facts(UnknownCapabilityError("'kafka'", test="a::b")), "C104", "'kafka'"),
    (facts(IdentityError("backend", "is not what was declared: answers as shop")), "I203", "answers as shop"),
    (facts(AssertionError("404"), ping=STRANGER), "I203", "answers as shop"),
    (facts(AssertionError("502"), ping=DOWN), "I201", "backend is down: connection refused"),
    (facts(CUT, crashes=(CRASH,)), "L403", "backend was ended by signal 11 (SIGSEGV) on POST /orders → no answer"),
    (
        facts(CUT, crashes=(replace(CRASH, request="", is_repeated=True),)),
        "L403",
        "while the test used it, again when the test was run once more",
    ),
    (
        facts(CUT, crashes=(replace(CRASH, by_test=False, is_up_again=False),)),
        "I201",
        "before this test, or beside others; it could not be started again",
    ),
    (
        facts(CUT, crashes=(replace(CRASH, by_test=False, exit_code=1, out_of_memory=True),)),
        "I201",
        "backend ended with exit code 1 as the kernel killed a process for want of memory",
    ),
    (facts(AssertionError("503"), ping=DEGRADED), "I201", "not ready: database is down"),
    (facts(AssertionError("503"), ping=FLAPPING), "I207", "answered 2 of 3 looks"),
    (facts(StartError("backend", "did not start")), "I202", "did not start"),
    (facts(AssertionError("502"), access=(Access("backend", "/me", 502),)), "I204", "GET /me of backend answers 502"),
    (facts(AssertionError("?"), access=(Access("backend", "/me", 0, "timeout after 2.0 s"),)), "I204", "timeout"),
    (facts(UserError("signup", "answered 500 at /signup", 500)), "I204", "500"),
    (facts(AssertionError("401"), access=(Access("backend", "/me", 401),), exchanges=said(401)), "C106", "refused"),
    (facts(AssertionError("assert 401 == 200"), access=(Access("backend", "/me", 401),)), "C106", "refused"),
    (facts(AssertionError("401"), access=(SKEWED,), exchanges=said(401)), "C106", "backend is 3600 s ahead of ours"),
    (replace(facts(access=(Access("backend", "/me", 403),)), phase="smoke"), "C106", "GET /me of backend answers 403"),
    (facts(LeftOverError("a::b", ("1 row in table users of database",))), "L402", "left behind: 1 row in table users"),
    (facts(UserError("signup", "answered 403 at /signup", 403)), "C107", "403"),
    (facts(CUT), "I205", "complete message body"),
    (facts(httpx.ReadError("reset"), exchanges=said(200)), "I205", "GET /api/me → 200, then ReadError"),
    (facts(AssertionError("429 != 200"), exchanges=said(429)), "I206", "GET /api/me → 429"),
    (facts(not_json(answer_to_us)), "C105", "GET /api/me → 200 says that it is JSON, and is not: Unterminated string"),
    (facts(SupervisorError("ended")), "H302", "the supervisor ended"),
    (facts(pytest.fail.Exception("Timeout (>1.0s) from pytest-timeout.")), "H305", "these answer: backend"),
    (facts(AssertionError("502"), exchanges=said(502), access=(WORKS,)), "U502", "GET /api/me → 502"),
    (facts(ConnectionResetError("reset")), "U501", "these answer: backend"),
    (facts(httpx.ReadError("reset"), exchanges=said(0)), "U501", "these answer: backend"),
    (
        facts(AssertionError("1 != 2"), promise=OPEN),
        "C103",
        "the product breaks a promise: anybody is let in: Assertion",
    ),
    (facts(own_failure()), "H302", "raised in our own code, envmatrix.masking:"),
    (facts(pytest.fail.Exception("ScopeMismatch: You tried to access the function scoped fixture a")), "C109", "Scope"),
    (facts(AttributeError("'coroutine' object has no attribute 'id'"), unawaited=("seed",)), "C109", "fixture 'seed'"),
    (facts(AssertionError("401"), ping=REFUSED), "C108", "login refused: WRONGPASS, with what is declared"),
    (facts(AccessRefusedError("redis", "refuses what is declared: WRONGPASS")), "C108", "refuses what is declared"),
    (
        facts(AssertionError("1 != 2"), ping=REFUSED, own=frozenset({"backend"})),
        "L409",
        "backend refuses the login that it took at the start; the test met AssertionError: 1 != 2",
    ),
    (facts(closed(1008)), "L404", "the server closed the WebSocket: ConnectionClosedError: received 1008"),
    (facts(closed(1011)), "L404", "received 1011"),
    (facts(redis.AuthenticationError("invalid username-password pair")), "L404", "the server refused the login"),
    (
        facts(psycopg.OperationalError(f'{AT} FATAL:  database "x" does not exist')),
        "L404",
        'database "x" does not exist',
    ),
    (
        facts(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable")),
        "L404",
        "does not trust the server's certificate",
    ),
    (
        facts(redis.ConnectionError("Error 111 connecting to localhost:6379. Connection refused."), addresses=HERE),
        "L405",
        "localhost:6379 is no address of this environment (backend is at 127.0.0.1:4711, mail was not started)",
    ),
    (facts(refused_at("localhost", 9), addresses=HERE), "L405", "localhost:9 is no address"),
    (facts(psycopg.OperationalError(f"{AT} Connection refused"), addresses=HERE), "L405", "127.0.0.1:1 is no address"),
    (
        facts(psycopg.OperationalError("failed to resolve host 'no.such.invalid': Name not known"), addresses=HERE),
        "L405",
        "no.such.invalid is no address",
    ),
    (facts(httpx.UnsupportedProtocol("unsupported protocol 'ftp://'")), "L405", "the request cannot be sent"),
    (
        facts(redis.ConnectionError("Error 111 connecting to localhost:4711. Refused."), addresses=HERE),
        "U501",
        "backend",
    ),
    (facts(closed(1012)), "U501", "received 1012"),
    *(
        (replace(outage, variant="local+x"), "L408", "local+x was not survived: ")
        for outage in (
            facts(CUT),
            facts(ConnectionResetError("reset")),
            facts(AssertionError("502"), exchanges=said(502), access=(WORKS,)),
            facts(UserError("signup", "answered 503 at /signup", 503)),
            facts(pytest.fail.Exception("Timeout (>1.0s) from pytest-timeout.")),
        )
    ),
    (replace(facts(AssertionError("1 != 2"), ping=DOWN), variant="local+x"), "I201", "backend is down"),
    (replace(facts(AssertionError("1 != 2")), variant="local+x"), "L401", "1 != 2"),
    (facts(closed(None)), "U501", "no close frame"),
    (facts(psycopg.OperationalError(f"{AT} FATAL:  the database system is starting up")), "U501", "starting up"),
    (facts(AssertionError("1 != 2"), access=(WORKS,), exchanges=said(200)), "L401", "1 != 2"),
    (facts(), "L401", "without an exception"),
]


@pytest.mark.parametrize(("given", "code", "told"), CASES, ids=[f"{code}-{told[:20]}" for _, code, told in CASES])
def test_each_rule_decides_its_own_case(given: Facts, code: str, told: str) -> None:
    """Each kind of failure is decided by its own rule, and the line says what was seen."""
    rule, seen = decide(given)
    assert rule.code == code
    assert told in seen


def test_every_rule_is_tried_above() -> None:
    """No rule is without a case in the table above."""
    assert {code for _, code, _ in CASES} == {rule.code for rule in RULES}


def test_a_codes_letter_is_its_cause() -> None:
    """Who knows the letter knows the cause, and no two rules share a code."""
    rules = (*RULES, *HARNESS_RULES)
    assert {(rule.code[0], rule.cause.value[0].upper()) for rule in rules} == {(c, c) for c in "CILHU"}
    assert len({rule.code for rule in rules}) == len(rules)
    assert all(rule_named(rule.code) is rule for rule in rules)
    assert rule_named("X999") is None


def test_an_error_that_surfaces_in_what_a_test_calls_is_no_fault_of_ours() -> None:
    """A WebSocket that nobody serves, opened by our client; a key that no contract has."""

    async def ask() -> None:
        async with open_websocket(f"ws://127.0.0.1:{free_port()}/"):
            pass

    def read() -> object:
        return RealServices.model_construct()["nothing"]

    for fail in (lambda: asyncio.run(ask()), read):
        with pytest.raises((OSError, KeyError)) as failure:
            fail()
        assert decide(facts(failure.value))[0].code in {"L405", "L401"}


def test_an_optional_service_that_is_down_does_not_excuse_a_failure() -> None:
    """What the environment does not demand is no cause of a failure."""
    rule, _ = decide(facts(AssertionError("1 != 2"), ping=DOWN, required=False))
    assert rule.code == "L401"


def test_a_broken_contract_is_said_before_a_service_that_is_down() -> None:
    """A fixture that lies is the cause, also while its service is down."""
    rule, seen = decide(
        facts(
            ContractError("real_services", "conftest.py:3", (ContractFinding("C112", "auth_url", "untrue"),)), ping=DOWN
        )
    )
    assert rule.code == "C102"
    assert "conftest.py:3" in seen


def test_a_deadline_that_a_hung_service_ate_is_the_services() -> None:
    """A test that waited for a service that answers nobody is no fault of the harness."""
    hung = structs.replace(DOWN, detail="timeout after 2.0 s")
    rule, _ = decide(facts(pytest.fail.Exception("Timeout (>1.0s) from pytest-timeout."), ping=hung))
    assert rule.code == "I201"


def test_a_class_of_the_projects_own_is_no_lost_connection() -> None:
    """An exception is known by its library, not by its name alone."""
    rule, _ = decide(facts(OperationalError("out of stock")))
    assert rule.code == "L401"


@pytest.mark.parametrize(
    "given",
    [
        facts(not_json(json.loads), exchanges=said(200, is_json=True)),
        facts(not_json(answer_of), exchanges=said(200, is_json=True)),
        facts(AssertionError("'incomplete chunked read' in ''"), exchanges=said(200)),
        facts(pytest.fail.Exception("Timeout of an order must be 30 days")),
        facts(AssertionError("'retry-after' in {}"), exchanges=said(429)),
        facts(psycopg.errors.LockNotAvailable("canceling statement due to lock timeout")),
    ],
    ids=["own JSON", "own client", "own words", "own timeout", "429 asked for", "a lock"],
)
def test_what_only_looks_like_another_rules_case_is_logic(given: Facts) -> None:
    """Words in a text of the test's own, and refusals that it asked for, are no evidence of anything."""
    rule, _ = decide(given)
    assert rule.code == "L401"


def test_a_refused_token_that_the_test_never_met_is_not_blamed() -> None:
    """A test that failed on something else keeps its own cause."""
    rule, _ = decide(facts(AssertionError("1 != 2"), access=(Access("backend", "/me", 401),), exchanges=said(200)))
    assert rule.code == "L401"


def test_a_cause_deep_in_the_chain_is_found() -> None:
    """An assertion raised from a lost connection is about the connection."""
    rule, seen = decide(facts(AssertionError("no answer"), ConnectionResetError("reset by peer")))
    assert rule.code == "U501"
    assert "backend" in seen
