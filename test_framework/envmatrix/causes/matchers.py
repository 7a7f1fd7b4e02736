"""What each rule looks for: a function from the facts to one line of what it saw, or to `None`."""

from __future__ import annotations

import json
import os
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from envmatrix.causes.differences import difference
from envmatrix.causes.facts import Facts, ProductCrash
from envmatrix.exceptions import (
    AccessRefusedError,
    ContractError,
    DeclarationError,
    DependencyError,
    EnvmatrixError,
    IdentityError,
    LeftOverError,
    MissingFixtureError,
    NotReadyError,
    StartError,
    SupervisorError,
    UnknownCapabilityError,
    UnreachableError,
    UsageError,
    UserError,
)
from envmatrix.runs.ping import Ping
from envmatrix.safety.unpatched import text_of
from envmatrix.services.probes.exchanges import REFUSALS, Exchange, exchange_of

_EXCERPT = 80
"""Characters shown of an answer that is not the JSON that it claims to be."""


def fixture_not_found(facts: Facts) -> str | None:
    """Match a fixture that nobody provides, found at collection or at run time."""
    for error in facts.exceptions:
        if isinstance(error, MissingFixtureError):
            return line_of(error)
        if (name := getattr(error, "argname", None)) is not None and type(error).__name__ == "FixtureLookupError":
            return f"fixture {name!r} is asked for at run time, and nobody above provides it"
    return None


def contract_broken(facts: Facts) -> str | None:
    """Match a fixture that is not what its contract says."""
    for error in facts.exceptions:
        if isinstance(error, ContractError):
            return f"{error.place}: {'; '.join(map(str, error.findings))}"
    return None


def fixture_unusable(facts: Facts) -> str | None:
    """Match a fixture that this test cannot use: of too narrow a scope, or asynchronous in a test that awaits nothing."""
    for error in facts.exceptions:
        first = line_of(error)
        if facts.unawaited and _UNAWAITED.search(first):
            names = ", ".join(map(repr, facts.unawaited))
            return f"the test is not asynchronous and gets an unawaited object for fixture {names}: {first}"
        if type(error).__name__ == "Failed" and _UNUSABLE.search(first):
            return first.removeprefix("Failed: ")
    return None


_UNAWAITED = re.compile(r"\b(coroutine|async_generator)\b")
_UNUSABLE = re.compile(r"^Failed: ScopeMismatch: |requested an async fixture .* with no plugin or hook that handled it")
"""pytest's own words; both come as its `Failed`."""


def unknown_capability(facts: Facts) -> str | None:
    """Match a requirement that no environment could ever meet."""
    return next((line_of(error) for error in facts.exceptions if isinstance(error, UnknownCapabilityError)), None)


def wrong_server(facts: Facts) -> str | None:
    """Match an identity that is not the declared one."""
    if (line := _first(facts, IdentityError)) is not None:
        return line
    wrong = (f"{name} {ping.detail}" for name, ping in sorted(facts.pings.items()) if ping.wrong_identity)
    return next(wrong, None)


def access_changed(facts: Facts) -> str | None:
    """Match a service of this run's own that refuses the login with which it came up; what the test met is told, too."""
    changed = ", ".join(name for name, ping in sorted(facts.pings.items()) if name in facts.own and ping.refused)
    return (
        f"{changed} refuses the login that it took at the start; the test met {otherwise(facts)}" if changed else None
    )


def access_refused(facts: Facts) -> str | None:
    """Match a required service that answers and refuses what the environment declares."""
    refused = "; ".join(f"{seen}, with what is declared" for seen in _seen(facts, lambda ping: ping.refused))
    return _first(facts, AccessRefusedError) or refused or None


def product_crashed(facts: Facts) -> str | None:
    """Match a command of the product that ended on the test's own request."""
    return "; ".join(_crash_line(crash) for crash in facts.crashes if crash.by_test) or None


def _crash_line(crash: ProductCrash) -> str:
    from envmatrix.services.processes.process import explain_exit  # loaded where a service was started, and only there

    when = f"on {crash.request}" if crash.request else "while the test used it"
    if crash.out_of_memory:
        when = "as the kernel killed a process for want of memory"
    elif not crash.by_test:
        when = "before this test, or beside others"
    again = ", again when the test was run once more" if crash.is_repeated else ""
    restarted = "" if crash.is_up_again else "; it could not be started again"
    return f"{crash.service} {explain_exit(crash.exit_code)} {when}{again}{restarted}"


def service_down(facts: Facts) -> str | None:
    """Match a required service that failed every look, or crashed and was down for a while."""
    crashed = (_crash_line(crash) for crash in facts.crashes if crash.service in facts.required)
    down = "; ".join((*crashed, *_seen(facts, lambda ping: not ping.is_up and not ping.is_flapping)))
    return down or (None if service_flapping(facts) else _first(facts, UnreachableError))


def service_flapping(facts: Facts) -> str | None:
    """Match a required service that answered some looks and failed others."""
    return "; ".join(_seen(facts, lambda ping: ping.is_flapping)) or None


def _seen(facts: Facts, matches: Callable[[Ping], bool]) -> Iterator[str]:
    for name, ping in sorted(facts.pings.items()):
        if name in facts.required and matches(ping):
            yield f"{name} is {ping.status}: {ping.detail}"


def service_failed(facts: Facts) -> str | None:
    """Match a service that we start and that did not come up."""
    return next(filter(None, (_first(facts, kind) for kind in (StartError, NotReadyError, DependencyError))), None)


def work_undone(facts: Facts) -> str | None:
    """Match a service that says it is well and does not do its work."""
    broken = [f"{access}, while its health path says that it is up" for access in facts.access if access.is_broken]
    refused = [
        line_of(error) for error in facts.exceptions if isinstance(error, UserError) and error.status >= _SERVER_ERROR
    ]
    return "; ".join(broken or refused) or None


_SERVER_ERROR = 500
"""RFC 9110, 15.6: from here on the server says itself that it failed."""


def users_not_made(facts: Facts) -> str | None:
    """Match a refused sign-up or login."""
    return _first(facts, UserError)


def token_refused(facts: Facts) -> str | None:
    """Match the fixture's token being refused, where the test met that."""
    refused = [str(access) for access in facts.access if access.is_refused]
    asked = facts.phase == "smoke" or any(exchange.status in REFUSALS for exchange in facts.exchanges)
    asked = asked or any(_REFUSED.search(line_of(error)) for error in facts.exceptions)  # by a client of the test's own
    if not (refused and asked):
        return None
    clocks = [access.wrong_clock for access in facts.access if access.wrong_clock]
    return f"the fixture's token is refused: {'; '.join((*refused, *clocks))}"


_REFUSED = re.compile(r"\b40[13]\b")
"""RFC 9110, 15.5.2 and 15.5.4."""


def not_json(facts: Facts) -> str | None:
    """Match an answer that a client of ours could not read as the JSON that it claims to be."""
    for error in facts.exceptions:
        if isinstance(error, json.JSONDecodeError) and (read := _exchange_read(error)) is not None and read.is_json:
            return f"{read} says that it is JSON, and is not: {error.msg} in {_excerpt(error)}"
    return None


def _exchange_read(error: BaseException) -> Exchange | None:
    """Return the exchange whose answer was being read; `None` where that was a text or a client of the test's own."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    answers = (frame.f_locals.get("self") for frame in frames if frame.f_globals.get("__name__") == "httpx._models")
    return next(filter(None, map(exchange_of, answers)), None)


def _excerpt(error: json.JSONDecodeError) -> str:
    start = max(error.pos - _EXCERPT // 2, 0)
    return repr(error.doc[start : start + _EXCERPT])


def cut_short(facts: Facts) -> str | None:
    """Match an answer that broke off after it had begun."""
    for error in facts.exceptions:
        # The status came before the body: what broke off after it broke off an answer that had begun.
        begun = facts.last_status and is_of(error, "httpx", "ReadError", "RemoteProtocolError")
        wrapped = _CUT.search(text_of(error)) and type(error).__module__.partition(".")[0] in _CLIENTS
        if begun or wrapped or is_of(error, "http", "IncompleteRead"):
            return f"{facts.exchanges[-1]}, then {line_of(error)}" if begun else line_of(error)
    return None


_CUT = re.compile("without sending complete message body|incomplete chunked read", re.IGNORECASE)
"""httpx's texts of an answer cut short, also in errors of clients that wrap it."""

_CLIENTS = frozenset({"httpx", "httpcore", "openai", "requests", "urllib3", "aiohttp"})


def rate_limited(facts: Facts) -> str | None:
    """Match a refusal for load."""
    for error in facts.exceptions:
        answer = error if is_of(error, "openai", "APIStatusError") else getattr(error, "response", None)
        asserted = isinstance(error, AssertionError) and facts.last_status == _TOO_MANY and _429.search(line_of(error))
        if getattr(answer, "status_code", None) == _TOO_MANY or asserted:
            return f"{facts.exchanges[-1]}, then {line_of(error)}" if asserted else line_of(error)
    return None


_TOO_MANY = 429
"""RFC 6585, 4."""

_429 = re.compile(r"\b429\b")
"""In an assertion's first line: it is the status that the test did not expect, rather than something beside it."""


def own_bug(facts: Facts) -> str | None:
    """Match errors of our own supervisor and configuration, and whatever our own code did not expect."""
    ours = next(filter(None, (_first(facts, kind) for kind in (SupervisorError, UsageError, DeclarationError))), None)
    if ours is not None or not facts.exceptions or any(isinstance(each, EnvmatrixError) for each in facts.exceptions):
        return ours
    error = facts.exceptions[0]
    if is_of(error, "_pytest", "OutcomeException") or (place := _place_in_our_code(error)) is None:
        return None
    return f"{line_of(error)}; it was raised in our own code, {place}"


def _place_in_our_code(error: BaseException) -> str | None:
    """Return `module:line` where our own code called what raised an error; `None` where another's did."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("envmatrix."):
            return None if module.startswith(_TEST_FACING) else f"{module}:{line}"
        if not _is_library(frame.f_code.co_filename) or module.partition(".")[0] in {"_pytest", "pluggy"}:
            return None
    return None


_TEST_FACING = (
    "envmatrix.conformance.",
    "envmatrix.contracts.fields",
    "envmatrix.plugin.evidence",
    "envmatrix.services.users",
    "envmatrix.services.websocket",
)
"""Modules in which a test's own failures, or other plugins' errors, surface: a key that no contract has, say."""


def _is_library(file: str) -> bool:
    return file.startswith(("<frozen", _STDLIB)) or "site-packages" in file


_STDLIB = str(Path(os.__file__).parent)


def deadline_passed(facts: Facts) -> str | None:
    """Match what pytest-timeout raises."""
    for error in facts.exceptions:
        if type(error).__name__ == "Failed" and _TIMEOUT.match(text_of(error)):
            return f"the test's deadline passed ({text_of(error)}); {who_answers(facts)}"
    return None


_TIMEOUT = re.compile(r"Timeout \(>[\d.]+s\) from pytest-timeout")


def gateway_spoke(facts: Facts) -> str | None:
    """Match a gateway's error in the test's last answer."""
    if not facts.exchanges or not facts.exchanges[-1].is_of_gateway:
        return None
    return f"{facts.exchanges[-1]}; and yet {who_answers(facts)} now"


def left_behind(facts: Facts) -> str | None:
    """Match a test that passed and left something behind."""
    return _first(facts, LeftOverError)


def conformance_failed(facts: Facts) -> str | None:
    """Match any failure of the shipped suite; name the promise and who breaks it."""
    return f"{facts.promise}: {otherwise(facts)}" if facts.promise else None


def otherwise(facts: Facts) -> str | None:
    """Match anything."""
    first = facts.exceptions[0] if facts.exceptions else None
    if first is None:
        return "failed without an exception"
    return "; ".join([line_of(first), *difference(text_of(first))])


def who_answers(facts: Facts) -> str:
    """Say which services answered right after the failure."""
    up = ", ".join(sorted(name for name, ping in facts.pings.items() if ping.is_up))
    return f"these answer: {up}" if up else "no service was used"


def is_of(error: BaseException, library: str, *names: str) -> bool:
    """Return whether an error is of one of a library's classes, without importing the library."""
    return any(base.__module__.partition(".")[0] == library and base.__name__ in names for base in type(error).__mro__)


def _first(facts: Facts, kind: type[EnvmatrixError]) -> str | None:
    return next((line_of(error) for error in facts.exceptions if isinstance(error, kind)), None)


def line_of(error: BaseException) -> str:
    """Return an error in one line, in the words for people where it has them."""
    if isinstance(error, EnvmatrixError):
        return error.message.splitlines()[0]  # made for people already
    text = text_of(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
