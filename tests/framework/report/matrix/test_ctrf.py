"""The matrix in the Common Test Report Format: valid by the schema that CTRF publishes, and nothing untold is green."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from envmatrix.report.matrix.ctrf import SPEC_VERSION, render, render_each
from envmatrix.report.matrix.summary import JudgedMatrix
from tests.framework.report.samples import SHAPES, everything, incomplete, missing, parts, passed

SCHEMA = Path(__file__).parent / f"ctrf/ctrf-schema-{SPEC_VERSION.rpartition('.')[0]}.json"
VALIDATOR = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()), format_checker=jsonschema.FormatChecker())


def results(judged: JudgedMatrix) -> dict[str, Any]:
    """The results of one document."""
    return json.loads(render(judged))["results"]


def of_test(document: dict[str, Any], name: str, environment: str) -> dict[str, Any]:
    """A test in an environment."""
    (test,) = (each for each in document["tests"] if each["testId"] == f"{environment}/{name}")
    return test


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_valid_by_the_published_schema(tmp_path: Path, shape: str) -> None:
    """Whatever the matrix holds; no text can move a cursor, and no half of a surrogate pair ends a strict reader."""
    judged = SHAPES[shape](tmp_path)
    for text in (render(judged), *render_each(judged).values()):
        VALIDATOR.validate(json.loads(text))
        assert "\\u001b" not in text
        assert "\\ud" not in text.replace("\\\\ud", "")


def test_what_ctrf_has_no_word_for_stands_in_extra(tmp_path: Path) -> None:
    """Environment, cause, rule, flaky and retries, of each test; the attempts before the last one."""
    document = results(everything(tmp_path))
    wrong = of_test(document, "tests/test_a.py::test_two", "local")
    assert (wrong["status"], wrong["rawStatus"], wrong["message"]) == (
        "failed",
        "failed",
        "AssertionError: assert 1 == 2",
    )
    assert wrong["trace"] == "long"
    extra = {"environment": "local", "cause": "logic", "rule": "L401", "place": "tests/test_a.py:9", "phase": "call"}
    assert wrong["extra"] == extra | {"flaky": False, "retries": 0}
    flaky = of_test(document, "tests/test_a.py::test_three", "local")
    assert (flaky["status"], flaky["flaky"], flaky["retries"]) == ("passed", True, 1)
    (attempt,) = flaky["retryAttempts"]
    assert (attempt["status"], attempt["message"]) == ("failed", "backend is down: connection refused")
    assert document["summary"]["flaky"] == 1


def test_the_counts_are_those_of_the_tests(tmp_path: Path) -> None:
    """And the run's time is that of its files."""
    document = results(everything(tmp_path))
    statuses = [test["status"] for test in document["tests"]]
    assert {name: statuses.count(name) for name in ("passed", "failed", "skipped", "pending", "other")} == {
        name: document["summary"][name] for name in ("passed", "failed", "skipped", "pending", "other")
    }
    assert document["summary"]["tests"] == len(statuses)
    assert document["summary"]["stop"] - document["summary"]["start"] == 1500


@pytest.mark.parametrize("shape", [incomplete, missing])
def test_what_did_not_run_is_not_green(tmp_path: Path, shape: Any) -> None:
    """A killed run and a missing one fail by their verdict, with its reasons."""
    document = results(shape(tmp_path))
    failed = [test for test in document["tests"] if test["status"] == "failed"]
    assert [test["rawStatus"] for test in failed] == ["unknown"]
    assert failed[0]["message"]
    assert document["environment"]["healthy"] is False


def test_what_is_compatible_has_its_tests_and_no_more(tmp_path: Path) -> None:
    """No verdict stands among them."""
    document = results(passed(tmp_path))
    assert [test["status"] for test in document["tests"]] == ["passed"]
    assert document["environment"]["healthy"] is True


def test_subtests_that_failed_are_steps(tmp_path: Path) -> None:
    """Each with its own cause."""
    test = of_test(results(parts(tmp_path)), "tests/test_a.py::TestA::test_it[x]", "local")
    assert test["suite"] == ["local", "tests/test_a.py", "TestA"]
    assert [(step["name"], step["extra"]["cause"]) for step in test["steps"]] == [
        ("[first] (n=1)", "logic"),
        ("(n=2)", "infrastructure"),
    ]


def test_each_environment_has_a_document_of_its_own(tmp_path: Path) -> None:
    """Named by the environment; together they hold the tests of the one of all."""
    judged = everything(tmp_path)
    each = {name: json.loads(text)["results"] for name, text in render_each(judged).items()}
    assert list(each) == ["auth", "backend", "local", "staging"]
    assert each["staging"]["environment"]["testEnvironment"] == "staging (twin)"
    assert [test for document in each.values() for test in document["tests"]] == results(judged)["tests"]
