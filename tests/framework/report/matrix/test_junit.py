"""JUnit files, as a parser reads them that is not ours."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from junitparser import Error, Failure, Properties, Skipped
from junitparser.xunit2 import FlakyFailure, JUnitXml, TestCase, TestSuite

from envmatrix.matrix.table import Matrix
from envmatrix.report.matrix.junit import render
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping, PingStatus
from tests.framework.report.samples import SHAPES, everything, hostile, incomplete, judged, missing, parts, passed
from tests.framework.run_files import write_run


def suite(judged: JudgedMatrix, environment: str) -> TestSuite:
    """The suite of an environment."""
    (suite,) = JUnitXml.fromstring(render(judged)[environment].encode())
    return suite


def case(judged: JudgedMatrix, environment: str, name: str) -> TestCase:
    """A test of an environment."""
    (case,) = (each for each in suite(judged, environment) if each.name == name)
    return case


@pytest.mark.fault("unsafe-xml")
@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("shape", SHAPES)
def test_every_parser_takes_it(tmp_path: Path, shape: str) -> None:
    """No character that XML 1.0 forbids, no entity of its own; the counts are those of the tests."""
    for text in render(SHAPES[shape](tmp_path)).values():
        assert text.replace("\n", "").isprintable()
        assert "<!" not in text
        root = JUnitXml.fromstring(text.encode())
        (suite,) = root
        cases = list(suite)
        told = (suite.tests, suite.failures, suite.errors, suite.skipped)
        assert told[:3] == (root.tests, root.failures, root.errors)
        suite.update_statistics()
        assert told == (suite.tests, suite.failures, suite.errors, suite.skipped)
        assert len(cases) == suite.tests


@pytest.mark.fault("hostile-test-name")
@pytest.mark.fault("unsafe-xml")
def test_names_are_text(tmp_path: Path) -> None:
    """They make no element, and the outcomes of their tests are what they are."""
    root = ET.fromstring(render(hostile(tmp_path))["local"])
    assert {each.tag for each in root.iter()} == {
        *("testsuites", "testsuite", "testcase", "properties", "property", "failure", "skipped", "system-out")
    }
    assert len(root.findall(".//skipped")) == 32


def test_environments_tell_tests_of_one_name_apart(tmp_path: Path) -> None:
    """By the suite's name and by the class, which is what dashboards group by."""
    judged = everything(tmp_path)
    assert list(render(judged)) == ["auth", "backend", "local", "staging"]
    assert suite(judged, "staging").name == "staging (twin)"
    one = case(judged, "local", "test_one")
    assert (one.classname, one._elem.get("file"), one.time) == ("local.tests.test_a", "tests/test_a.py", 1.25)
    assert case(judged, "auth", "test_one").classname == "auth.tests.test_a"


def test_outcomes_are_those_that_readers_know(tmp_path: Path) -> None:
    """What blames the product is a failure, what does not an error; a flaky test passed, and says that it was."""
    judged = everything(tmp_path)
    (wrong,) = case(judged, "local", "test_two").result
    assert (type(wrong), wrong.type, wrong.message, wrong.text) == (
        *(Failure, "logic L401", "AssertionError: assert 1 == 2", "long"),
    )
    (down,) = case(judged, "backend", "test_one").result
    assert (type(down), down.type) == (Error, "infrastructure I201")
    flaky = case(judged, "local", "test_three")
    assert flaky.is_passed
    assert [each.message for each in flaky.iterchildren(FlakyFailure)] == ["backend is down: connection refused"]
    (known,) = case(judged, "local", "test_known").result
    assert (type(known), known.message) == (Skipped, "xfailed: issue 7")
    assert case(judged, "local", "test_mended").is_passed
    (lost,) = case(judged, "backend", "test_last").result
    assert (type(lost), lost.type) == (Skipped, "not_run")


def test_cause_and_rule_are_properties(tmp_path: Path) -> None:
    """Of each test that has one; the suite has the commit and where each service comes from."""
    judged = everything(tmp_path)
    told = {each.name: each.value for each in case(judged, "local", "test_two").child(Properties)}
    assert told == {"cause": "logic", "rule": "L401", "place": "tests/test_a.py:9"}
    about = {each.name: each.value for each in suite(judged, "local").properties()}
    assert (about["verdict"], about["commit"], about["source of llm"]) == ("incompatible", "c" * 40, "stub")


def test_the_evidence_is_the_output(tmp_path: Path) -> None:
    """Exceptions, pings, requests and logs."""
    before, after = (Ping(service="backend", status=status) for status in (PingStatus.UP, PingStatus.DOWN))
    evidence = Evidence(
        *("I201", "down", "call"),
        exceptions=("ConnectError: refused",),
        pings_before=(before,),
        pings=(after,),
        exchanges=("GET /me → no answer",),
        logs={"backend": "started\nkilled"},
    )
    attempt = Attempt("a.py::x", Outcome.FAILED, cause=Cause.INFRASTRUCTURE, evidence=evidence)
    matrix = Matrix.from_runs([write_run(tmp_path / "r.jsonl", attempt)])
    assert case(judged(matrix), "local", "x").system_out == (
        "Exceptions, outermost first:\nConnectError: refused\nServices before:\nbackend: up\n"
        "Services right after:\nbackend: down\nWhat the test asked for, oldest first:\nGET /me → no answer\n"
        "The end of backend's log:\nstarted\nkilled"
    )


def test_subtests_that_failed_are_tests_of_their_own(tmp_path: Path) -> None:
    """Behind their test, with their own cause."""
    judged = parts(tmp_path)
    (wrong,) = case(judged, "local", "test_it[x] [first] (n=1)").result
    assert (type(wrong), wrong.type, wrong.message) == (Failure, "logic L401", "assert 1 == 2")
    told = {each.name: each.value for each in case(judged, "local", "test_it[x] [first] (n=1)").child(Properties)}
    assert told == {"cause": "logic", "rule": "L401", "place": "tests/test_a.py:3"}
    (down,) = case(judged, "local", "test_it[x] (n=2)").result
    assert (type(down), down.type) == (Error, "infrastructure I201")
    assert case(judged, "local", "test_it[x]").classname == "local.tests.test_a.TestA"


def test_what_did_not_run_is_not_green(tmp_path: Path) -> None:
    """A killed run and a missing one are an error, with the reason and the log; one that is compatible has no such test."""
    (killed,) = case(incomplete(tmp_path), "local", "verdict").result
    assert (type(killed), killed.type) == (Error, "unknown")
    gone = case(missing(tmp_path), "staging", "verdict")
    assert gone.result[0].message == "pytest ended with exit code 4"
    assert gone.system_out == "ERROR: no such option: --bogus"
    assert [each.name for each in suite(passed(tmp_path), "environment-000")] == ["test_it"]
