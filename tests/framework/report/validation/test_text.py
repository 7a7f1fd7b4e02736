"""What `envmatrix validate` prints, and its document."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from envmatrix.environments.edit import ServiceEdit
from envmatrix.gate import Answer as VerdictAnswer
from envmatrix.gate import Code, Reason, Verdict
from envmatrix.report.validation import json_, text
from envmatrix.report.validation.validation import ValidationReport
from envmatrix.validation import Capability, Declared, Validation, ValidationFinding, Validity

FILE = Path("environments/shop.toml").absolute()
BACKEND = Capability(
    "backend", "backend", Declared.REQUIRED, "remote", "up", "shop 1", passed=("a", "b"), failed=("c",)
)
MAIL = Capability("mail", "mail", Declared.OPTIONAL, "remote", "down", "has an empty URL", said_by=("backend",))
LLM = Capability("llm", "llm", Declared.ABSENT, "absent", "absent")
REDIS = Capability("redis", "redis", Declared.ABSENT, "absent", "", said_by=("backend",))
SOCKET = Capability("websocket", "backend", Declared.REQUIRED, "remote", "up", "shop 1")
UNSEEN = Capability("auth", "auth", Declared.REQUIRED, "process", "")
GAP = ValidationFinding(
    "T602",
    "redis",
    "redis is declared absent, and backend says that it is up",
    "Declare it remote",
    Validity.UNTRUE,
    FILE,
    8,
    ServiceEdit("redis", {"source": "remote", "required": False}),
)
REMARK = ValidationFinding(
    "T603", "websocket", "websocket is available, and no test exercised it", "Write one", Validity.TRUE, FILE
)
TRUTH = Validation("shop", "shop (twin)", (BACKEND, MAIL, LLM, REDIS, SOCKET, UNSEEN), (GAP, REMARK))
PASSED = Verdict(
    "shop", VerdictAnswer.COMPATIBLE, (Reason(Code.PASSED, "2 of 3 tests passed", VerdictAnswer.COMPATIBLE),)
)
TESTS = tuple(f"t.py::test_{number}" for number in range(5))
FAILED = Verdict(
    "shop", VerdictAnswer.INCOMPATIBLE, (Reason(Code.CONTRACT, "5 tests failed", VerdictAnswer.INCOMPATIBLE, TESTS),)
)
DIFF = '--- shop.toml\n+++ shop.toml\n-source = "absent"\n+source = "remote"\n'


def test_each_capability_is_a_line_and_each_finding_two() -> None:
    """Declared, observed, exercised, and what follows; then what to write."""
    assert text.render(ValidationReport(TRUTH, PASSED, diff=DIFF)).splitlines() == [
        "envmatrix validate  shop (twin)",
        "",
        "capability   declared               observed                                   exercised by",
        "backend      remote, required       up                                         2 passed, 1 failed   true",
        "mail         remote, optional       down: has an empty URL; up, backend says   nothing              optional",
        "llm          absent                 absent                                     -                    true",
        "redis        absent                 up, backend says                           -                    T602",
        "websocket    by backend, required   up                                         nothing              T603",
        "auth         process, required      not seen                                   nothing              unknown",
        "",
        "What is not as declared",
        "  T602 redis is declared absent, and backend says that it is up (environments/shop.toml:8)",
        "       Declare it remote",
        "",
        "Remarks",
        "  T603 websocket is available, and no test exercised it (environments/shop.toml)",
        "       Write one",
        "",
        "envmatrix validate shop --fix writes:",
        *(f"  {line}" for line in DIFF.splitlines()),
        "",
        "Conformance suite: compatible",
        "  2 of 3 tests passed",
        "",
        "shop (twin): untrue",
    ]


def test_what_was_written_is_told_from_what_could_be() -> None:
    """Where the file cannot be changed for us, the lines stand there to be copied."""
    assert "\nWritten; validate again to see it hold:\n" in text.render(
        ValidationReport(TRUTH, PASSED, diff=DIFF, written=True)
    )
    refused = text.render(ValidationReport(TRUTH, PASSED, refused="shop.toml: is read-only"))
    assert (
        'Cannot be written for you: shop.toml: is read-only\n  [services.redis]\n  source = "remote"\n  required = false\n'
        in refused
    )


@pytest.mark.parametrize(
    ("truth", "verdict", "answer"),
    [
        (replace(TRUTH, findings=(), capabilities=(BACKEND,)), PASSED, Validity.TRUE),
        (replace(TRUTH, findings=(), capabilities=(BACKEND,)), FAILED, Validity.UNTRUE),
        (replace(TRUTH, findings=()), PASSED, Validity.UNKNOWN),
        (replace(TRUTH, findings=()), FAILED, Validity.UNTRUE),
        (TRUTH, Verdict("shop", VerdictAnswer.UNKNOWN, ()), Validity.UNTRUE),
    ],
)
def test_a_broken_contract_is_no_truth(truth: Validation, verdict: Verdict, answer: Validity) -> None:
    """The worse of what the declaration and the conformance suite tell; some of the failed tests are named, with why."""
    validation = ValidationReport(truth, verdict, {"t.py::test_1": "the token is not taken:\n401"})
    assert validation.answer is answer
    assert json.loads(json_.render(validation))["exit_code"] == answer.exit_code
    if verdict is FAILED:
        assert (
            "  5 tests failed\n    t.py::test_0\n    t.py::test_1\n      the token is not taken:\\n401\n    t.py::test_2\n    and 2 more\n"
            in text.render(validation)
        )


def test_the_document_has_everything() -> None:
    """Nothing is shortened: rules, places, lines to write, tests."""
    document = json.loads(json_.render(ValidationReport(TRUTH, FAILED, diff=DIFF)))
    assert (document["schema"], document["label"], document["answer"]) == (1, "shop (twin)", "untrue")
    assert document["capabilities"][0]["failed"] == ["c"]
    gap = document["findings"][0]
    assert (gap["file"], gap["line"], gap["table"]) == ("environments/shop.toml", 8, "[services.redis]")
    assert gap["lines"] == ['source = "remote"', "required = false"]
    assert document["reasons"][0]["tests"] == list(TESTS)
    assert document["diff"] == DIFF


@pytest.mark.fault("hostile-test-name")
def test_what_a_server_says_of_itself_does_nothing_on_a_terminal() -> None:
    """No cursor moves, no CI log obeys."""
    hostile = replace(MAIL, detail="\x1b[2J::error::gotcha")
    shown = text.render(ValidationReport(replace(TRUTH, capabilities=(hostile,)), PASSED))
    assert "\x1b" not in shown
    assert "::error::" not in shown
