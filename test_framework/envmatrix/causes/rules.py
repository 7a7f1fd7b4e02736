"""The rules, as data in one ordered table; the first that matches decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from envmatrix.causes import connections, matchers
from envmatrix.causes.facts import Breaker, Facts
from envmatrix.runs.events import Evidence
from envmatrix.runs.outcomes import Cause
from envmatrix.runs.rules import RuleCode


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name, the cause that it decides, and when it applies."""

    code: RuleCode
    cause: Cause
    title: str
    meaning: str
    """What it says about the failure."""
    remedy: str
    """What to do next; empty where the cause's own advice says it all."""
    matches: Callable[[Facts], str | None]
    """Returns what was seen, in one line, or `None` where the rule does not apply."""


RULES = (
    Rule(
        RuleCode.FIXTURE_NOT_FOUND,
        Cause.CONTRACT,
        "fixture not found",
        "The test asks for a fixture that nobody above it provides.",
        "Move the named provider to a conftest.py above the test, or drop the request.",
        matchers.fixture_not_found,
    ),
    Rule(
        RuleCode.CONTRACT_BROKEN,
        Cause.CONTRACT,
        "contract broken",
        "The fixture is there and is not what its contract says: the line names the file that defines it and each "
        "field.",
        "Mend that fixture, or delete it: the plugin provides one that keeps the contract.",
        matchers.contract_broken,
    ),
    Rule(
        RuleCode.FIXTURE_UNUSABLE,
        Cause.CONTRACT,
        "fixture cannot be used here",
        "The test asks for a fixture that it cannot use: one of a narrower scope, or an asynchronous one that nothing "
        "awaits.",
        "Give the fixture the scope of whoever asks for it, or make it synchronous or the test asynchronous.",
        matchers.fixture_unusable,
    ),
    Rule(
        RuleCode.UNKNOWN_CAPABILITY,
        Cause.CONTRACT,
        "unknown capability",
        "The test requires a capability that no environment declares, so it would be skipped everywhere, for ever.",
        "Mend the spelling in the marker, or declare the service.",
        matchers.unknown_capability,
    ),
    Rule(
        RuleCode.PRODUCT_CRASHED,
        Cause.LOGIC,
        "product crashed",
        "A service of the product ended by itself, by an exit code or a signal, while or right after this test's own "
        "request. The request and the end of its log are among the evidence; the test's second run tells whether it "
        "always does.",
        "Mend the product: send that request to the service alone, and read its log.",
        matchers.product_crashed,
    ),
    Rule(
        RuleCode.WRONG_SERVER,
        Cause.INFRASTRUCTURE,
        "wrong server",
        "What answers is healthy, and is not the service, the environment or the commit that the declaration demands.",
        "Mend the URL or the deployment; no test has been run against the stranger.",
        matchers.wrong_server,
    ),
    Rule(
        RuleCode.ACCESS_CHANGED,
        Cause.LOGIC,
        "login changed during the run",
        "A service that was started for this run refuses the login that it took then: a test, or the product, has changed the "
        "account.",
        "The test that changes it ran before the first one of this cause: have it put the account back as it was, or leave "
        "it out in this environment.",
        matchers.access_changed,
    ),
    Rule(
        RuleCode.ACCESS_REFUSED,
        Cause.CONTRACT,
        "declared access refused",
        "A service answers and refuses what the environment declares: the login, the database's name, or the authority "
        "that its certificate must be signed by.",
        "Mend the service's url, key or ca_file in the declaration, or the account in the service.",
        matchers.access_refused,
    ),
    Rule(
        RuleCode.SERVICE_FAILED,
        Cause.INFRASTRUCTURE,
        "service did not start",
        "A service that we start ended, or was not ready in time.",
        "The end of its log is among the evidence.",
        matchers.service_failed,
    ),
    Rule(
        RuleCode.SERVICE_DOWN,
        Cause.INFRASTRUCTURE,
        "required service down",
        "A service that the test used, or one behind it, did not answer a ping right after the failure.",
        "Look at that service first; the test has said nothing about the product.",
        matchers.service_down,
    ),
    Rule(
        RuleCode.SERVICE_FLAPPING,
        Cause.INFRASTRUCTURE,
        "service flapping",
        "A service that the test used answered some of several looks right after the failure and failed the others.",
        "Look at that service first: it is restarting, overloaded, or one of its instances is broken.",
        matchers.service_flapping,
    ),
    Rule(
        RuleCode.NOT_SURVIVED,
        Cause.LOGIC,
        "fault not survived",
        "In a degraded variant, a test broke that requires nothing of what may break there: what looks like an outage is the "
        "product's own, since the fault is declared.",
        "Mend the product so that it works without the faulted service; or say what the test requires, or what the variant "
        "does not survive.",
        connections.not_survived,
    ),
    Rule(
        RuleCode.WORK_UNDONE,
        Cause.INFRASTRUCTURE,
        "healthy by its own word only",
        "The health path says that the service is up, and its protected path is not answered, or a gateway says that "
        "nobody is there.",
        "Look at what stands behind the service, and mend the health path: it should have told.",
        matchers.work_undone,
    ),
    Rule(
        RuleCode.LEFT_BEHIND,
        Cause.LOGIC,
        "left resources behind",
        "The test passed and left rows, keys, sockets, tasks, threads or processes that the next test would meet; the line "
        "lists them.",
        "Delete or close them in the test or its fixture, or mark the test with what it means to leave: "
        '@pytest.mark.leaves("rows").',
        matchers.left_behind,
    ),
    Rule(
        RuleCode.TOKEN_REFUSED,
        Cause.CONTRACT,
        "token refused",
        "The fixture's token was valid when the test began and is refused now: it expired, was revoked, or was "
        "signed with a key that was changed.",
        "The next test gets a new one; if that is refused too, mend the login or the keys.",
        matchers.token_refused,
    ),
    Rule(
        RuleCode.USERS_NOT_MADE,
        Cause.CONTRACT,
        "users cannot be made",
        "The environment refused to sign up or log in a test user, or answered with something else.",
        "Mend the routes in [users], or the service's rights and limits for test users.",
        matchers.users_not_made,
    ),
    Rule(
        RuleCode.CUT_SHORT,
        Cause.INFRASTRUCTURE,
        "answer cut short",
        "A connection ended in the middle of an answer that had begun.",
        "The server's process, or a proxy before it, broke off: look at its log and at limits of size and time.",
        matchers.cut_short,
    ),
    Rule(
        RuleCode.RATE_LIMITED,
        Cause.INFRASTRUCTURE,
        "too many requests",
        "The service refused for load (429).",
        "Raise the limit for test users, or run fewer workers.",
        matchers.rate_limited,
    ),
    Rule(
        RuleCode.NOT_JSON,
        Cause.CONTRACT,
        "not the JSON it claims",
        "An answer says that it is JSON and cannot be read as such; the line shows where.",
        "What sends it breaks what its content type promises.",
        matchers.not_json,
    ),
    Rule(
        RuleCode.HARNESS_FAILED,
        Cause.HARNESS,
        "harness failed",
        "The supervisor, our own configuration or our own code failed, not the product and not its services.",
        "Run again; if it stays, report it with the detail.",
        matchers.own_bug,
    ),
    Rule(
        RuleCode.DEADLINE_PASSED,
        Cause.HARNESS,
        "test's deadline passed",
        "The test took longer than it may, and every service that it used answers.",
        "The detail shows where it stood. Give it more time with @pytest.mark.timeout, or mend what it waits for.",
        matchers.deadline_passed,
    ),
    Rule(
        RuleCode.SERVER_REFUSED,
        Cause.LOGIC,
        "refused by the server's own word",
        "A server answered and refused, by a close code or an error of its protocol, while it takes what the environment "
        "declares: the product or the test's own client is wrong.",
        "Read the server's words and its log. A client of the test's own takes its address, login and authority from the "
        "fixture.",
        connections.server_refused,
    ),
    Rule(
        RuleCode.ASKED_ELSEWHERE,
        Cause.LOGIC,
        "not an address of this environment",
        "The test connected to an address that the environment does not declare, or that cannot be, and nobody is there.",
        "Take the address from the fixture instead of writing it down: real_services.redis, real_services.backend_url.",
        connections.asked_elsewhere,
    ),
    Rule(
        RuleCode.GATEWAY_SPOKE,
        Cause.UNDETERMINED,
        "a gateway's error, and everything answers now",
        "The test's last answer was a gateway's (502, 503, 504), and the health and protected paths are fine now: "
        "the evidence conflicts.",
        "Run the test again; if it stays, look at what stands between, or at how the product uses these codes.",
        matchers.gateway_spoke,
    ),
    Rule(
        RuleCode.CONNECTION_LOST,
        Cause.UNDETERMINED,
        "connection lost while every service answers",
        "A connection broke and every service that the test used answers now: the evidence conflicts.",
        "Run the test again; if it stays, look at what stands between, such as a proxy.",
        connections.connection_lost,
    ),
    Rule(
        RuleCode.CONFORMANCE_FAILED,
        Cause.CONTRACT,
        "conformance check failed",
        "A test of the shipped conformance suite failed while every service answers: the line names the promise and who "
        "breaks it.",
        "Mend what the line names: the product, the environment or its declaration.",
        matchers.conformance_failed,
    ),
    Rule(
        RuleCode.FAILED_ON_HEALTHY,
        Cause.LOGIC,
        "failed on healthy services",
        "The test failed, and no required service that it used is down: the product or the test is wrong.",
        "",
        matchers.otherwise,
    ),
)
"""In order: certain evidence first, the rest last."""


def _decided_elsewhere(_: Facts) -> None:
    """Match nothing: the recorder or the reader decides."""


HARNESS_RULES = (
    Rule(
        RuleCode.VACUOUS,
        Cause.LOGIC,
        "vacuous test",
        "The test says that it requires a service, and passes while nothing of that service gets through: it proves nothing "
        "about it.",
        "Have it check something that only the service can do, or drop the capability from its marker.",
        _decided_elsewhere,
    ),
    Rule(
        RuleCode.WORKER_CRASHED,
        Cause.HARNESS,
        "worker crashed",
        "The process that ran the test ended under it: a signal, the kernel's memory killer, or os._exit.",
        "Run the test alone, without xdist, to see what ends it.",
        _decided_elsewhere,
    ),
    Rule(
        RuleCode.NEVER_ENDED,
        Cause.HARNESS,
        "planned and never ended",
        "The run was killed, stopped early or passed its deadline before the test's end.",
        "The reason says which; run it again.",
        _decided_elsewhere,
    ),
    Rule(
        RuleCode.BODY_NOT_RUN,
        Cause.HARNESS,
        "body not run",
        "The test's phases passed, but its body was never run: pytest only set it up, or a plugin replaced its protocol.",
        "Run it without --setup-only and --setup-plan, or have the plugin report the call phase.",
        _decided_elsewhere,
    ),
    Rule(
        RuleCode.COLLECTION_FAILED,
        Cause.HARNESS,
        "collection failed",
        "A test module could not be imported, so what it would have planned is unknown.",
        "Mend the import: pytest's log shows it.",
        _decided_elsewhere,
    ),
    Rule(
        RuleCode.LIMIT_CROSSED,
        Cause.LOGIC,
        "limit crossed",
        "A sampled run found a service above a limit of its declaration: max_rss, max_connections or p95_ms.",
        "Look at what the named test does to the service; if that is its due, raise the limit.",
        _decided_elsewhere,
    ),
    Rule(
        RuleCode.EVIDENCE_LOST,
        Cause.HARNESS,
        "evidence lost",
        "A hook of ours failed at an object of the test. The test's outcome is pytest's own; its evidence is lost.",
        "It is our bug: report it with the line that the remark names.",
        _decided_elsewhere,
    ),
)
"""Rules that no exception in a test can match: the recorder and the reader of the run file decide them."""


def is_about_connections(facts: Facts) -> bool:
    """Return whether a failure calls for more than one look at the services: a single one may have been luck."""
    return any(matches(facts) for matches in (connections.connection_lost, matchers.cut_short, matchers.gateway_spoke))


def decide(facts: Facts) -> tuple[Rule, str]:
    """Return the rule that decides, and what it saw, in one line."""
    for rule in RULES:
        if (seen := rule.matches(facts)) is not None:
            return rule, seen
    raise AssertionError("the last rule matches everything")


_REMEDIES = {
    Breaker.PRODUCT: "Mend the product: it does not keep what it promises to its users.",
    Breaker.ENVIRONMENT: "Mend the environment, or what its declaration says of it.",
    Breaker.FIXTURE: "Mend the fixture, or delete it: the plugin provides one that keeps the contract.",
}


def remedy(evidence: Evidence) -> str:
    """Return what to do next by the evidence's rule, and by who breaks a promise; empty where neither says."""
    rule = rule_named(evidence.rule)
    return _REMEDIES.get(evidence.breaker) or (rule.remedy if rule else "")  # type: ignore[call-overload]  # or a text of another version


def rule_named(code: str) -> Rule | None:
    """Return the rule of a code; `None` where no rule of this version has it."""
    return _BY_CODE.get(code)


_BY_CODE: Mapping[str, Rule] = {rule.code: rule for rule in (*HARNESS_RULES, *RULES)}
