"""Why a test did not pass: the rules, as data in one ordered table. The first that matches decides.

What is certain comes first: a fixture that is not there, a server that is somebody else, a service that is down. What
remains when everything answers is the product's or the test's. Where two facts contradict each other the cause is
`undetermined`, and the line holds both: wrong with confidence is worse than undecided.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from test_framework.cells import Cause
from test_framework.exceptions import (
    ContractError,
    DeclarationError,
    DependencyError,
    EnvmatrixError,
    IdentityError,
    MissingFixtureError,
    NotReadyError,
    StartError,
    SupervisorError,
    UnknownCapabilityError,
    UnreachableError,
    UsageError,
    UserError,
)
from test_framework.services import Ping
from test_framework.services.access import GATEWAY_ERRORS, Access
from test_framework.services.exchanges import Exchange

_MAX_CHAIN = 8

_EXCERPT = 80
"""Characters of an answer that is not what it says."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one failure."""

    phase: str
    """`smoke`, `setup`, `call` or `teardown`."""
    exceptions: tuple[BaseException, ...]
    """The chain, outermost first."""
    pings: Mapping[str, Ping] = field(default_factory=dict)
    """Each service that the test used, and all behind it, looked at right after the failure."""
    required: frozenset[str] = frozenset()
    """Which of them the environment demands."""
    access: tuple[Access, ...] = ()
    """What the protected path of each of them answered right after the failure."""
    exchanges: tuple[Exchange, ...] = ()
    """The test's last requests, oldest first."""
    conformance: bool = False
    """Whether the test is one of the shipped conformance suite, which tests nothing but the contract."""

    @property
    def last_status(self) -> int:
        """Return the status of the last answer that the test got; 0 where it got none."""
        return self.exchanges[-1].status if self.exchanges else 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it is called, what it decides, and when."""

    code: str
    cause: Cause
    title: str
    meaning: str
    """What to think of it, and what to do next."""
    matches: Callable[[Facts], str | None]
    """Returns one line of what was seen, or `None` where the rule does not apply."""


def _fixture_not_found(facts: Facts) -> str | None:
    for error in facts.exceptions:
        if isinstance(error, MissingFixtureError):
            return _line(error)
        if (name := getattr(error, "argname", None)) is not None and type(error).__name__ == "FixtureLookupError":
            return f"fixture {name!r} is asked for at run time, and nobody above provides it"
    return None


def _contract_broken(facts: Facts) -> str | None:
    for error in facts.exceptions:
        if isinstance(error, ContractError):
            return f"{error.place}: {'; '.join(error.findings)}"
    return None


def _unknown_capability(facts: Facts) -> str | None:
    return next((_line(error) for error in facts.exceptions if isinstance(error, UnknownCapabilityError)), None)


def _wrong_server(facts: Facts) -> str | None:
    if (line := _first(facts, IdentityError)) is not None:
        return line
    wrong = [f"{name} {ping.detail}" for name, ping in sorted(facts.pings.items()) if ping.identity and not ping.is_up]
    return next((line for line in wrong if "answers as" in line), None)


def _service_down(facts: Facts) -> str | None:
    down = "; ".join(_seen(facts, lambda ping: not ping.is_up and not ping.is_flapping))
    return down or (None if _service_flapping(facts) else _first(facts, UnreachableError))


def _service_flapping(facts: Facts) -> str | None:
    return "; ".join(_seen(facts, lambda ping: ping.is_flapping)) or None


def _seen(facts: Facts, matches: Callable[[Ping], bool]) -> Iterator[str]:
    for name, ping in sorted(facts.pings.items()):
        if name in facts.required and matches(ping):
            yield f"{name} is {ping.status}: {ping.detail}"


def _service_failed(facts: Facts) -> str | None:
    return next(filter(None, (_first(facts, kind) for kind in (StartError, NotReadyError, DependencyError))), None)


def _work_undone(facts: Facts) -> str | None:
    broken = [f"{access}, while its health path says that it is up" for access in facts.access if access.is_broken]
    refused = [
        _line(error) for error in facts.exceptions if isinstance(error, UserError) and error.status in GATEWAY_ERRORS
    ]
    return "; ".join(broken or refused) or None


def _users_not_made(facts: Facts) -> str | None:
    return _first(facts, UserError)


def _token_refused(facts: Facts) -> str | None:
    refused = [str(access) for access in facts.access if access.is_refused]
    asked = facts.phase == "smoke" or any(exchange.status in {401, 403} for exchange in facts.exchanges)
    return f"the fixture's token is refused: {'; '.join(refused)}" if refused and asked else None


def _not_json(facts: Facts) -> str | None:
    if not (facts.exchanges and facts.exchanges[-1].is_json):
        return None
    for error in facts.exceptions:
        if isinstance(error, json.JSONDecodeError):
            return f"{facts.exchanges[-1]} says that it is JSON, and is not: {error.msg} in {_excerpt(error)}"
    return None


def _excerpt(error: json.JSONDecodeError) -> str:
    start = max(error.pos - _EXCERPT // 2, 0)
    return repr(error.doc[start : start + _EXCERPT])


def _cut_short(facts: Facts) -> str | None:
    for error in facts.exceptions:
        # The status came before the body: what broke off after it broke off an answer that had begun.
        begun = facts.last_status and _is_of(error, "httpx", "ReadError", "RemoteProtocolError")
        if begun or _is_of(error, "http", "IncompleteRead") or _CUT.search(str(error)):
            return f"{facts.exchanges[-1]}, then {_line(error)}" if begun else _line(error)
    return None


_CUT = re.compile("without sending complete message body|incomplete chunked read", re.IGNORECASE)
"""What httpx says of it, also where another library's client wraps it."""


def _rate_limited(facts: Facts) -> str | None:
    for error in facts.exceptions:
        if getattr(error, "status_code", None) == _TOO_MANY:
            return _line(error)
    return f"{facts.exchanges[-1]}: too many requests" if facts.last_status == _TOO_MANY else None


_TOO_MANY = 429
"""RFC 6585, 4."""


def _own_bug(facts: Facts) -> str | None:
    return next(filter(None, (_first(facts, kind) for kind in (SupervisorError, UsageError, DeclarationError))), None)


def _deadline_passed(facts: Facts) -> str | None:
    for error in facts.exceptions:
        if type(error).__name__ == "Failed" and str(error).startswith("Timeout"):  # pytest-timeout's
            return f"the test's deadline passed ({error}); {_who_answers(facts)}"
    return None


def _gateway_spoke(facts: Facts) -> str | None:
    if facts.last_status not in GATEWAY_ERRORS:
        return None
    return f"{facts.exchanges[-1]}; and yet {_who_answers(facts)} now"


def _connection_lost(facts: Facts) -> str | None:
    for error in facts.exceptions:
        if any(_is_of(error, library, *names) for library, names in _LOST.items()):
            return f"{_line(error)}; and yet {_who_answers(facts)}"
    return None


_LOST = {
    "builtins": ("ConnectionError",),
    "httpx": ("TransportError",),
    "httpcore": ("NetworkError", "ProtocolError"),
    "websockets": ("ConnectionClosedError",),
    "openai": ("APIConnectionError",),
    "psycopg": ("OperationalError", "InterfaceError"),
    "psycopg2": ("OperationalError", "InterfaceError"),
    "sqlalchemy": ("OperationalError", "InterfaceError"),
    "asyncpg": ("PostgresConnectionError", "InterfaceError"),
    "redis": ("ConnectionError", "TimeoutError"),
    "clickhouse_connect": ("OperationalError",),
    "requests": ("ConnectionError",),
    "aiohttp": ("ClientConnectionError",),
}
"""Library → what it raises where a connection was refused or lost. A class of the project's own is none of these."""


def _conformance_failed(facts: Facts) -> str | None:
    return _otherwise(facts) if facts.conformance else None


def _otherwise(facts: Facts) -> str | None:
    first = facts.exceptions[0] if facts.exceptions else None
    return _line(first) if first is not None else "failed without an exception"


def _who_answers(facts: Facts) -> str:
    up = ", ".join(sorted(name for name, ping in facts.pings.items() if ping.is_up))
    return f"these answer: {up}" if up else "no service was used"


def _is_of(error: BaseException, library: str, *names: str) -> bool:
    """Return whether an error is of one of a library's classes, without importing the library."""
    return any(base.__module__.partition(".")[0] == library and base.__name__ in names for base in type(error).__mro__)


def _first(facts: Facts, kind: type[EnvmatrixError]) -> str | None:
    return next((_line(error) for error in facts.exceptions if isinstance(error, kind)), None)


def _line(error: BaseException) -> str:
    if isinstance(error, EnvmatrixError):
        return error.message.splitlines()[0]  # made for people already
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


RULES = (
    Rule(
        "C101",
        Cause.CONTRACT,
        "fixture not found",
        "The test asks for a fixture that nobody above it provides. Move the named provider to a conftest.py "
        "above the test, or drop the request.",
        _fixture_not_found,
    ),
    Rule(
        "C102",
        Cause.CONTRACT,
        "contract broken",
        "The fixture is there and is not what its contract says: the line names the file that defines it and "
        "each field. Mend that fixture, or delete it: the plugin provides one that keeps the contract.",
        _contract_broken,
    ),
    Rule(
        "C104",
        Cause.CONTRACT,
        "unknown capability",
        "The test requires a capability that no environment declares, so it would be skipped everywhere, for "
        "ever. Mend the spelling in the marker, or declare the service.",
        _unknown_capability,
    ),
    Rule(
        "I203",
        Cause.INFRASTRUCTURE,
        "wrong server",
        "What answers is healthy, and is not the service, the environment or the commit that the declaration "
        "demands. Mend the URL or the deployment; no test has been run against the stranger.",
        _wrong_server,
    ),
    Rule(
        "I202",
        Cause.INFRASTRUCTURE,
        "service did not start",
        "A service that we start ended, or was not ready in time. The end of its log is among the evidence.",
        _service_failed,
    ),
    Rule(
        "I201",
        Cause.INFRASTRUCTURE,
        "required service down",
        "A service that the test used, or one behind it, did not answer a ping right after the failure. Look "
        "at that service first; the test has said nothing about the product.",
        _service_down,
    ),
    Rule(
        "I207",
        Cause.INFRASTRUCTURE,
        "service flapping",
        "A service that the test used answered some of several looks right after the failure and failed the "
        "others. Look at that service first: it is restarting, overloaded, or one of its instances is broken.",
        _service_flapping,
    ),
    Rule(
        "I204",
        Cause.INFRASTRUCTURE,
        "healthy by its own word only",
        "The health path says that the service is up, and its protected path is not answered, or a gateway "
        "says that nobody is there. Look at what stands behind the service, and mend the health path: it "
        "should have told.",
        _work_undone,
    ),
    Rule(
        "C106",
        Cause.CONTRACT,
        "token refused",
        "The fixture's token was valid when the test began and is refused now: it expired, was revoked, or "
        "was signed with a key that was changed. The next test gets a new one; if that is refused too, mend "
        "the login or the keys.",
        _token_refused,
    ),
    Rule(
        "C107",
        Cause.CONTRACT,
        "users cannot be made",
        "The environment refused to sign up or log in a test user, or answered with something else. Mend the "
        "routes in [users], or the service's rights and limits for test users.",
        _users_not_made,
    ),
    Rule(
        "I205",
        Cause.INFRASTRUCTURE,
        "answer cut short",
        "A connection ended in the middle of an answer that had begun. The server's process, or a proxy "
        "before it, broke off: look at its log and at limits of size and time.",
        _cut_short,
    ),
    Rule(
        "I206",
        Cause.INFRASTRUCTURE,
        "too many requests",
        "The service refused for load (429). Raise the limit for test users, or run fewer workers.",
        _rate_limited,
    ),
    Rule(
        "C105",
        Cause.CONTRACT,
        "not the JSON it claims",
        "An answer says that it is JSON and cannot be read as such; the line shows where. What sends it "
        "breaks what its content type promises.",
        _not_json,
    ),
    Rule(
        "H302",
        Cause.HARNESS,
        "harness failed",
        "The supervisor or our own configuration failed, not the product and not its services. Run again; if "
        "it stays, report it with the detail.",
        _own_bug,
    ),
    Rule(
        "H305",
        Cause.HARNESS,
        "test's deadline passed",
        "The test took longer than it may, and every service that it used answers. The detail shows where it "
        "stood. Give it more time with @pytest.mark.timeout, or mend what it waits for.",
        _deadline_passed,
    ),
    Rule(
        "U502",
        Cause.UNDETERMINED,
        "a gateway's error, and everything answers now",
        "The test's last answer was a gateway's (502, 503, 504), and the health and protected paths are fine "
        "now: the evidence conflicts. Run the test again; if it stays, look at what stands between, or at how"
        " the product uses these codes.",
        _gateway_spoke,
    ),
    Rule(
        "U501",
        Cause.UNDETERMINED,
        "connection lost while every service answers",
        "A connection broke and every service that the test used answers now: the evidence conflicts. Run the"
        " test again; if it stays, look at what stands between, such as a proxy.",
        _connection_lost,
    ),
    Rule(
        "C103",
        Cause.CONTRACT,
        "conformance check failed",
        "A test of the shipped conformance suite failed while every service answers: the contract's field "
        "that the test is named after is untrue in this environment. Mend the environment, or the "
        "declaration.",
        _conformance_failed,
    ),
    Rule(
        "L401",
        Cause.LOGIC,
        "failed on healthy services",
        "Every service that the test used answers, and the test failed: the product or the test is wrong.",
        _otherwise,
    ),
)
"""In order: what is certain first, what remains last."""


def _decided_elsewhere(_: Facts) -> None:
    """Match nothing: no exception in a test tells this."""


HARNESS_RULES = (
    Rule(
        "H301",
        Cause.HARNESS,
        "worker crashed",
        "The process that ran the test ended under it: a signal, the kernel's memory killer, or os._exit. Run"
        " the test alone, without xdist, to see what ends it.",
        _decided_elsewhere,
    ),
    Rule(
        "H303",
        Cause.HARNESS,
        "planned and never ended",
        "The run was killed, stopped early or passed its deadline before the test's end. The reason says "
        "which; run it again.",
        _decided_elsewhere,
    ),
    Rule(
        "H304",
        Cause.HARNESS,
        "collection failed",
        "A test module could not be imported, so what it would have planned is unknown. Mend the import: "
        "pytest's log shows it.",
        _decided_elsewhere,
    ),
)
"""What no exception in a test tells: decided by the recorder and by whoever reads the run file."""


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came of, outermost first; a chain that is longer than eight repeats itself."""
    seen = 0
    while error is not None and seen < _MAX_CHAIN:
        yield error
        seen += 1
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def is_about_connections(facts: Facts) -> bool:
    """Return whether a failure calls for more than one look at the services: a single one may have been luck."""
    return any(matches(facts) for matches in (_connection_lost, _cut_short, _gateway_spoke))


def decide(facts: Facts) -> tuple[Rule, str]:
    """Return the rule that decides, and what it saw, in one line."""
    for rule in RULES:
        if (seen := rule.matches(facts)) is not None:
            return rule, seen
    raise AssertionError("the last rule matches everything")


def rule_named(code: str) -> Rule | None:
    """Return the rule of a code; `None` where no rule of this version has it."""
    return next((rule for rule in (*RULES, *HARNESS_RULES) if rule.code == code), None)
