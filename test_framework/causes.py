"""Why a test did not pass: the rules, as data in one ordered table. The first that matches decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from test_framework.cells import Cause
from test_framework.exceptions import (
    ContractError,
    EnvmatrixError,
    MissingFixtureError,
    UnknownCapabilityError,
)
from test_framework.services import Ping


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one failure."""

    phase: str
    """`setup`, `call` or `teardown`."""
    exceptions: tuple[BaseException, ...]
    """The chain, outermost first."""
    pings: Mapping[str, Ping]
    """Each service that the test used, and all behind it, looked at right after the failure."""
    required: frozenset[str]
    """Which of them the environment demands."""
    conformance: bool = False
    """Whether the test is one of the shipped conformance suite, which tests nothing but the contract."""


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


def _service_down(facts: Facts) -> str | None:
    down = [
        f"{name} is {ping.status}: {ping.detail}"
        for name, ping in sorted(facts.pings.items())
        if not ping.is_up and name in facts.required
    ]
    return "; ".join(down) or None


def _service_failed(facts: Facts) -> str | None:
    return _first_line(facts, "ServiceError")


def _own_bug(facts: Facts) -> str | None:
    return _first_line(facts, "SupervisorError", "UsageError", "DeclarationError")


def _connection_lost(facts: Facts) -> str | None:
    names = ("ConnectionError", "TransportError", "ConnectionClosedError", "OperationalError", "APIConnectionError")
    if (line := _first_line(facts, *names)) is not None:
        up = ", ".join(sorted(name for name, ping in facts.pings.items() if ping.is_up)) or "no service was used"
        return f"{line}; and yet these answer: {up}"
    return None


def _conformance_failed(facts: Facts) -> str | None:
    return _otherwise(facts) if facts.conformance else None


def _otherwise(facts: Facts) -> str | None:
    first = facts.exceptions[0] if facts.exceptions else None
    return _line(first) if first is not None else "failed without an exception"


def _first_line(facts: Facts, *names: str) -> str | None:
    for error in facts.exceptions:
        if any(base.__name__ in names for base in type(error).__mro__):
            return _line(error)
    return None


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
        "The test asks for a fixture that nobody above it provides. Move the named provider to a conftest.py above the "
        "test, or drop the request.",
        _fixture_not_found,
    ),
    Rule(
        "C102",
        Cause.CONTRACT,
        "contract broken",
        "The fixture is there and is not what its contract says: the line names the file that defines it and each field. "
        "Mend that fixture, or delete it: the plugin provides one that keeps the contract.",
        _contract_broken,
    ),
    Rule(
        "C104",
        Cause.CONTRACT,
        "unknown capability",
        "The test requires a capability that no environment declares, so it would be skipped everywhere, for ever. "
        "Mend the spelling in the marker, or declare the service.",
        _unknown_capability,
    ),
    Rule(
        "I201",
        Cause.INFRASTRUCTURE,
        "required service down",
        "A service that the test used, or one behind it, did not answer a ping right after the failure. Look at that "
        "service first; the test has said nothing about the product.",
        _service_down,
    ),
    Rule(
        "I202",
        Cause.INFRASTRUCTURE,
        "service did not start",
        "A service could not be started or reached when the fixture was set up. The detail holds the end of its log.",
        _service_failed,
    ),
    Rule(
        "H302",
        Cause.HARNESS,
        "harness failed",
        "The supervisor or our own configuration failed, not the product and not its services. Run again; if it stays, "
        "report it with the detail.",
        _own_bug,
    ),
    Rule(
        "U501",
        Cause.UNDETERMINED,
        "connection lost while every service answers",
        "A connection broke and every service that the test used answers now: the evidence conflicts. Run the test "
        "again; if it stays, look at what stands between, such as a proxy.",
        _connection_lost,
    ),
    Rule(
        "C103",
        Cause.CONTRACT,
        "conformance check failed",
        "A test of the shipped conformance suite failed while every service answers: the contract's field that the "
        "test is named after is untrue in this environment. Mend the environment, or the declaration.",
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

HARNESS_RULES = {
    "H301": "worker crashed: the process that ran the test ended under it (a signal, the kernel's memory killer, os._exit)",
    "H303": "planned and never ended: the run was killed, stopped early or passed its deadline before the test's end",
    "H304": "collection failed: a test module could not be imported, so what it would have planned is unknown",
}
"""What no exception in a test tells: decided by the recorder and by whoever reads the run file."""


def decide(facts: Facts) -> tuple[Rule, str]:
    """Return the rule that decides, and what it saw, in one line."""
    for rule in RULES:
        if (seen := rule.matches(facts)) is not None:
            return rule, seen
    raise AssertionError("the last rule matches everything")
