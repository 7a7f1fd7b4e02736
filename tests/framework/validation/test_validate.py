"""Declared, observed, exercised: where the three differ, and what would make them agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from envmatrix.environments import load_file
from envmatrix.environments.toml_file import read_toml
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.events import Attempt, Attestation, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping
from envmatrix.validation import Capability, Declared, Validation, ValidationFinding, Validity
from tests.framework.run_files import footer, header

SHOP = """\
[services.backend]
kind = "http"
source = "remote"
url = "http://shop"
websocket = "/ws"
capabilities = ["search"]

[services.redis]
kind = "redis"
source = "embedded"

[services.clickhouse]
kind = "clickhouse"
source = "absent"

[services.llm]
kind = "openai"
source = "absent"
url = "${SHOP_MODEL:-}"
required = false

[services.mail]
kind = "http"
source = "remote"
url = "http://mail"
required = false

[users]
service = "backend"
signup = "/signup"
login = "/login"
"""
EVERYTHING = ("backend", "websocket", "search", "redis", "mail", "multi_user")
UP = {"status": "up"}
ALL_UP = {"backend": UP, "redis": UP, "mail": UP}

Said = Mapping[str, Mapping[str, Any]]


def passed(*capabilities: str, test: str = "a.py::passed") -> Cell:
    """A test that exercised some capabilities and passed."""
    return Cell(test, Outcome.PASSED, (Attempt(test, Outcome.PASSED, capabilities=capabilities),))


def failed(*capabilities: str, rule: str = "L401", cause: Cause = Cause.LOGIC, test: str = "a.py::failed") -> Cell:
    """A test that exercised some capabilities and failed."""
    attempt = Attempt(test, Outcome.FAILED, capabilities=capabilities)
    return Cell(test, Outcome.FAILED, (attempt,), cause, Evidence(rule, "no"))


def pings(said: Said) -> dict[str, Ping]:
    """The looks that saw this."""
    return {name: convert({"service": name, **ping}, Ping) for name, ping in said.items()}


def truth(
    directory: Path, *cells: Cell, before: Said = ALL_UP, after: Said | None = None, text: str = SHOP, **variables: str
) -> Validation:
    """Compare a run of these cells, in which services said this, with a declaration."""
    path = directory / "shop.toml"
    path.write_text(text)
    attestations = [Attestation(moment="before", services=pings(before))]
    if after is not None:
        attestations.append(Attestation(moment="after", services=pings(after)))
    run = Run(header("shop"), {cell.test: cell for cell in cells}, footer(), (), tuple(attestations))
    return Validation.of(run, load_file(path, variables), read_toml(path))


def rules(found: Validation) -> list[tuple[str, str, Validity]]:
    """Which rule found what, and what that calls for."""
    return [(one.rule, one.capability, one.calls_for) for one in found.findings]


def the(found: Validation, rule: str) -> ValidationFinding:
    """The one finding of a rule."""
    (one,) = (one for one in found.findings if one.rule == rule)
    return one


def row(found: Validation, name: str) -> Capability:
    """What is known of one capability."""
    (one,) = (one for one in found.capabilities if one.name == name)
    return one


def test_declared_and_up_and_exercised_is_true(tmp_path: Path) -> None:
    """No finding; what is absent and was not seen is true as well."""
    found = truth(tmp_path, passed(*EVERYTHING), after={**ALL_UP, "clickhouse": {"status": "absent"}})
    assert (found.answer, found.findings) == (Validity.TRUE, ())
    declared = {one.name: (one.service, one.declared, one.observed) for one in found.capabilities}
    assert declared == {
        "backend": ("backend", Declared.REQUIRED, "up"),
        "search": ("backend", Declared.REQUIRED, "up"),
        "websocket": ("backend", Declared.REQUIRED, "up"),
        "redis": ("redis", Declared.REQUIRED, "up"),
        "clickhouse": ("clickhouse", Declared.ABSENT, "absent"),
        "llm": ("llm", Declared.ABSENT, ""),
        "mail": ("mail", Declared.OPTIONAL, "up"),
        "multi_user": ("backend", Declared.REQUIRED, "up"),
    }
    assert row(found, "redis").passed == ("a.py::passed",)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_required_and_down_leaves_it_unknown(tmp_path: Path, moment: str) -> None:
    """At either end of the run, with the ping's reason and the line of the declaration."""
    down = {**ALL_UP, "redis": {"status": "down", "detail": "connection refused"}}
    said = {"before": ALL_UP, "after": ALL_UP} | {moment: down}
    found = truth(tmp_path, passed(*EVERYTHING), **said)
    assert rules(found) == [("T601", "redis", Validity.UNKNOWN)]
    assert found.answer is Validity.UNKNOWN
    one = the(found, "T601")
    assert one.message == "redis is declared embedded and required, and is down: connection refused"
    assert (one.file.name, one.line) == ("shop.toml", 10)


@pytest.mark.fault("health-200-wrong-service")
def test_somebody_else_is_as_good_as_nobody(tmp_path: Path) -> None:
    """What answers as another service is not the declared one."""
    stranger = {"status": "degraded", "detail": "answers as blog, expected shop"}
    found = truth(tmp_path, passed(*EVERYTHING), before={**ALL_UP, "backend": stranger})
    assert "degraded: answers as blog, expected shop" in the(found, "T601").message


def test_optional_and_down_is_said_and_no_finding(tmp_path: Path) -> None:
    """The environment may do without."""
    found = truth(tmp_path, passed(*EVERYTHING), before={**ALL_UP, "mail": {"status": "down", "detail": "timeout"}})
    assert (found.answer, found.findings) == (Validity.TRUE, ())
    assert (row(found, "mail").observed, row(found, "mail").detail) == ("down", "timeout")


def test_required_and_never_looked_at_is_unknown(tmp_path: Path) -> None:
    """Nothing empty is true: a run whose tests needed nothing tells nothing."""
    found = truth(tmp_path, passed(), before={})
    assert (found.answer, found.findings) == (Validity.UNKNOWN, ())


def test_available_and_never_exercised_is_a_remark(tmp_path: Path) -> None:
    """Also for what is no service; the hint is the marker of a test that would."""
    found = truth(tmp_path, passed("backend", "redis", "multi_user", "websocket"))
    assert rules(found) == [("T603", "search", Validity.TRUE), ("T603", "mail", Validity.TRUE)]
    assert found.answer is Validity.TRUE
    assert [one.line for one in found.findings] == [6, 24]
    assert '@pytest.mark.requires("search")' in found.findings[0].hint


def test_a_run_cut_short_does_not_say_what_is_never_exercised(tmp_path: Path) -> None:
    """The test that was cut off may have been the one."""
    found = truth(tmp_path, passed("backend"), Cell("a.py::lost", Outcome.NOT_RUN))
    assert found.findings == ()


@pytest.mark.parametrize(
    ("cell", "answer"),
    [
        (failed("redis", rule="C103", cause=Cause.CONTRACT), Validity.UNTRUE),
        (failed("redis"), Validity.UNTRUE),
        (failed("redis", rule="I206", cause=Cause.INFRASTRUCTURE), Validity.UNKNOWN),
    ],
)
def test_exercised_by_failed_tests_alone_is_said_with_the_rules(tmp_path: Path, cell: Cell, answer: Validity) -> None:
    """A broken contract is no truth; an outage under the tests tells nothing."""
    others = tuple(name for name in EVERYTHING if name != "redis")
    found = truth(tmp_path, passed(*others), cell)
    assert rules(found) == [("T604", "redis", answer)]
    assert cell.evidence is not None
    assert the(found, "T604").message == (
        f"redis is up, and the one test that exercised it failed: {cell.evidence.rule}"
    )


def test_one_passed_test_is_enough(tmp_path: Path) -> None:
    """Also one that passed when tried again: the suite's own verdict says the rest."""
    flaky = Cell("a.py::f", Outcome.FLAKY, (Attempt("a.py::f", Outcome.PASSED, capabilities=EVERYTHING),))
    found = truth(tmp_path, flaky, failed("redis"))
    assert found.findings == ()
    assert row(found, "redis").failed == ("a.py::failed",)


def test_a_skipped_test_exercised_nothing(tmp_path: Path) -> None:
    """Though it read a field before it gave up."""
    attempt = Attempt("a.py::s", Outcome.SKIPPED, capabilities=("redis",))
    found = truth(tmp_path, passed("backend"), Cell("a.py::s", Outcome.SKIPPED, (attempt,)))
    assert ("T603", "redis", Validity.TRUE) in rules(found)


def test_absent_and_answering_at_its_url_is_a_gap(tmp_path: Path) -> None:
    """Its source is all that must change."""
    seen = {**ALL_UP, "llm": {"status": "up", "version": "gpt 5"}}
    found = truth(tmp_path, passed(*EVERYTHING), before=seen, SHOP_MODEL="http://model/v1")
    assert rules(found) == [("T602", "llm", Validity.UNTRUE)]
    one = the(found, "T602")
    assert one.message == "llm is declared absent, and answers at its url: gpt 5"
    assert one.line == 18
    assert one.edit is not None
    assert one.edit.lines == ('source = "remote"',)


@pytest.mark.parametrize("status", ["down", "degraded", "absent"])
def test_absent_and_not_answering_at_its_url_is_true(tmp_path: Path, status: str) -> None:
    """Nothing to be seen, nothing to be proposed."""
    seen = {**ALL_UP, "llm": {"status": status, "detail": "connection refused"}}
    found = truth(tmp_path, passed(*EVERYTHING), before=seen, SHOP_MODEL="http://model/v1")
    assert (found.answer, found.findings, found.edits) == (Validity.TRUE, (), ())


def says(**dependencies: str) -> Said:
    """All up, and the backend says this of others."""
    return {**ALL_UP, "backend": {**UP, "dependencies": dependencies}}


def test_absent_and_up_by_anothers_word_is_a_gap(tmp_path: Path) -> None:
    """Where it is nobody told us: a variable must, and the service stays optional."""
    found = truth(tmp_path, passed(*EVERYTHING), before=says(clickhouse="up", llm="down"))
    assert rules(found) == [("T602", "clickhouse", Validity.UNTRUE)]
    one = the(found, "T602")
    assert one.message == "clickhouse is declared absent, and backend says that it is up"
    assert one.hint == "Declare it remote, and set SHOP_CLICKHOUSE_URL to where it is"
    assert one.edit is not None
    assert one.edit.header == "[services.clickhouse]"
    assert one.edit.lines == ('source = "remote"', 'url = "${SHOP_CLICKHOUSE_URL:-}"', "required = false")


def test_a_url_that_is_there_stays(tmp_path: Path) -> None:
    """The variable that it names is the one to set; `required` is there already."""
    found = truth(tmp_path, passed(*EVERYTHING), before=says(llm="up"))
    one = the(found, "T602")
    assert one.hint.endswith("set SHOP_MODEL to where it is")
    assert one.edit is not None
    assert one.edit.lines == ('source = "remote"',)


def test_what_is_not_declared_and_yet_there_is_a_gap_if_tests_know_it_by_name(tmp_path: Path) -> None:
    """A table is proposed; a dependency of which no test can speak is its service's own business."""
    text = SHOP.replace("[services.clickhouse]", "[services.warehouse]")
    found = truth(tmp_path, passed(*EVERYTHING), before=says(clickhouse="up", disk="up", database="down"), text=text)
    one = the(found, "T602")
    assert len(found.findings) == 1
    assert one.message == "clickhouse is not declared, and backend says that it is up"
    assert one.edit is not None
    assert one.edit.lines[0] == 'kind = "clickhouse"'
    assert row(found, "clickhouse").declared is Declared.UNDECLARED


def test_a_name_that_a_service_provides_is_declared(tmp_path: Path) -> None:
    """A dependency may be called what the declaration calls a capability."""
    text = SHOP.replace('["search"]', '["search", "database"]')
    found = truth(
        tmp_path,
        passed(*EVERYTHING, "database"),
        before={**ALL_UP, "mail": {**UP, "dependencies": {"database": "up"}}},
        text=text,
    )
    assert found.findings == ()


def test_a_dependency_may_go_by_the_name_of_a_capability(tmp_path: Path) -> None:
    """It is the service that provides it which is there."""
    text = SHOP.replace('kind = "clickhouse"', 'kind = "clickhouse"\ncapabilities = ["analytics"]')
    found = truth(tmp_path, passed(*EVERYTHING), before=says(analytics="up"), text=text)
    assert rules(found) == [("T602", "clickhouse", Validity.UNTRUE)]


def test_a_target_that_has_no_such_service_contradicts_the_declaration(tmp_path: Path) -> None:
    """Ours answers, and what was deployed does not use it."""
    found = truth(tmp_path, passed(*EVERYTHING), before=says(redis="absent"))
    assert rules(found) == [("T605", "redis", Validity.UNTRUE)]
    assert the(found, "T605").message == (
        "redis is declared embedded and answers us, and backend says that there is none"
    )


def test_a_target_that_cannot_reach_a_service_contradicts_our_look(tmp_path: Path) -> None:
    """Who is right is not known: the way between the two may be broken."""
    found = truth(tmp_path, passed(*EVERYTHING), before=says(redis="down"))
    assert rules(found) == [("T605", "redis", Validity.UNKNOWN)]


def test_one_user_of_a_service_is_enough(tmp_path: Path) -> None:
    """That another has none of it is no contradiction; nor is what a service says of itself."""
    mail = {**UP, "dependencies": {"redis": "absent", "mail": "down"}}
    found = truth(tmp_path, passed(*EVERYTHING), before={**says(redis="up"), "mail": mail})
    assert found.findings == ()


def test_a_service_that_we_see_down_is_not_contradicted(tmp_path: Path) -> None:
    """Both say the same: one finding is enough."""
    before = {**says(redis="down"), "redis": {"status": "down", "detail": "connection refused"}}
    assert [rule for rule, _, _ in rules(truth(tmp_path, passed(*EVERYTHING), before=before))] == ["T601"]


def test_what_decides_comes_first(tmp_path: Path) -> None:
    """Untrue before unknown before remarks; one untrue thing is enough."""
    before = {**says(clickhouse="up"), "redis": {"status": "down"}}
    found = truth(tmp_path, passed("backend", "websocket", "search", "multi_user"), before=before)
    assert [one.rule for one in found.findings] == ["T602", "T601", "T603"]
    assert found.answer is Validity.UNTRUE
    assert [answer.exit_code for answer in (Validity.TRUE, Validity.UNTRUE, Validity.UNKNOWN)] == [0, 1, 3]


def test_services_that_say_nothing_of_others_contradict_nothing(tmp_path: Path) -> None:
    """And without the file's text a finding has no line."""
    path = tmp_path / "shop.toml"
    path.write_text(SHOP)
    services = {"backend": {"status": "up"}, "redis": {"status": "down"}}
    run = Run(header("shop"), {}, footer(), (), (Attestation(moment="before", services=pings(services)),))
    (one,) = Validation.of(run, load_file(path, {})).findings[:1]
    assert (one.rule, one.line) == ("T601", 0)
