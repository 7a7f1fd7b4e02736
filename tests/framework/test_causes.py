"""The rules that decide a cause, one by one."""

from dataclasses import replace

import pytest

from test_framework.causes import RULES, Facts, decide
from test_framework.cells import Cause
from test_framework.exceptions import (
    ContractError,
    MissingFixtureError,
    StartError,
    SupervisorError,
    UnknownCapabilityError,
)
from test_framework.services import Ping, PingStatus

UP = Ping(service="backend", status=PingStatus.UP)
DOWN = Ping(service="backend", status=PingStatus.DOWN, detail="connection refused")
DEGRADED = Ping(service="backend", status=PingStatus.DEGRADED, detail="database is down")


def facts(*chain: BaseException, ping: Ping = UP, required: bool = True) -> Facts:
    """Facts about one failure."""
    return Facts("call", chain, {ping.service: ping}, frozenset({ping.service}) if required else frozenset())


@pytest.mark.parametrize(
    ("given", "code", "cause"),
    [
        (facts(MissingFixtureError("real_services", ("a::b",), ())), "C101", Cause.CONTRACT),
        (facts(ContractError("real_services", "conftest.py:3", ("C110 no auth_url",))), "C102", Cause.CONTRACT),
        (facts(UnknownCapabilityError("a::b", "'kafka'")), "C104", Cause.CONTRACT),
        (facts(AssertionError("502"), ping=DOWN), "I201", Cause.INFRASTRUCTURE),
        (facts(AssertionError("503"), ping=DEGRADED), "I201", Cause.INFRASTRUCTURE),
        (facts(StartError("backend", "did not start")), "I202", Cause.INFRASTRUCTURE),
        (facts(SupervisorError("ended")), "H302", Cause.HARNESS),
        (facts(ConnectionResetError("reset")), "U501", Cause.UNDETERMINED),
        (replace(facts(AssertionError("1 != 2")), conformance=True), "C103", Cause.CONTRACT),
        (facts(AssertionError("1 != 2")), "L401", Cause.LOGIC),
        (facts(), "L401", Cause.LOGIC),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_rule_decides_its_own_case(given: Facts, code: str, cause: Cause) -> None:
    """Each kind of failure is decided by its own rule."""
    rule, _ = decide(given)
    assert (rule.code, rule.cause) == (code, cause)


def test_every_rule_is_tried_above() -> None:
    """No rule is without a case in the table above."""
    table = test_each_rule_decides_its_own_case.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {code for _, code, _ in table} == {rule.code for rule in RULES}


def test_an_optional_service_that_is_down_does_not_excuse_a_failure() -> None:
    """What the environment does not demand is no cause of a failure."""
    rule, _ = decide(facts(AssertionError("1 != 2"), ping=DOWN, required=False))
    assert rule.code == "L401"


def test_a_broken_contract_is_said_before_a_service_that_is_down() -> None:
    """A fixture that lies is the cause, also while its service is down."""
    rule, seen = decide(facts(ContractError("real_services", "conftest.py:3", ("C112 untrue",)), ping=DOWN))
    assert rule.code == "C102"
    assert "conftest.py:3" in seen


def test_the_summary_names_the_service_and_what_its_ping_saw() -> None:
    """The line says which service is down, and how we know."""
    _, seen = decide(facts(AssertionError("502"), ping=DOWN))
    assert seen == "backend is down: connection refused"


def test_a_cause_deep_in_the_chain_is_found() -> None:
    """An assertion raised from a lost connection is about the connection."""
    rule, seen = decide(facts(AssertionError("no answer"), ConnectionResetError("reset by peer")))
    assert rule.code == "U501"
    assert "backend" in seen
