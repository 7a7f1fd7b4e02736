"""The audit as SARIF 2.1.0: what the schema requires, and what a dashboard needs to know a finding again.

The official schema cannot be shipped here; what it requires of the objects that are written is held below.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from envmatrix.analysis.audit.audit import AuditResult
from envmatrix.analysis.audit.rules.catalog import ALL
from envmatrix.report.audit.sarif import render
from tests.framework.report.audit.samples import MISSING, everything, hostile

ALLOWED: Mapping[str, set[str]] = {
    "log": {"$schema", "version", "runs"},
    "run": {"tool", "results", "columnKind", "originalUriBaseIds"},
    "driver": {"name", "version", "rules"},
    "rule": {"id", "name", "shortDescription", "fullDescription", "help", "defaultConfiguration"},
    "result": {"ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints", "properties"},
}
"""The keys that we write, all of which the schema has; it allows no others."""


def results(audit: AuditResult) -> list[dict[str, Any]]:
    """Return the results of the one run."""
    found: list[dict[str, Any]] = json.loads(render(audit))["runs"][0]["results"]
    return found


def test_the_log_has_what_the_schema_requires() -> None:
    """Version, tool with a name, a run, messages with a text, regions that begin with 1, indices that fit."""
    log = json.loads(render(everything()))
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert log["version"] == "2.1.0"
    assert log.keys() == ALLOWED["log"]
    assert run.keys() == ALLOWED["run"]
    assert run["tool"].keys() == {"driver"}
    assert driver.keys() == ALLOWED["driver"]
    assert [rule["id"] for rule in driver["rules"]] == [rule.code for rule in ALL]
    for rule in driver["rules"]:
        assert rule.keys() == ALLOWED["rule"]
        assert rule["help"]["markdown"].startswith(f"# {rule['id']}")
    for result in run["results"]:
        assert result.keys() == ALLOWED["result"]
        assert result["message"]["text"]
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_place_is_relative_to_the_root() -> None:
    """So that it is the same wherever the tree was checked out."""
    location = results(everything())[0]["locations"][0]["physicalLocation"]
    assert location == {
        "artifactLocation": {"uri": "tests/test_a.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 3, "startColumn": 14},
    }


def test_a_fingerprint_outlives_lines_and_tells_two_of_a_kind_apart() -> None:
    """As the baseline does."""

    def prints(*lines: int) -> list[str]:
        audit = AuditResult(Path.cwd(), tuple(replace(MISSING, line=line) for line in lines))
        return [result["partialFingerprints"]["envmatrixFinding/v1"] for result in results(audit)]

    assert prints(3, 4) == prints(30, 40)
    assert len(set(prints(3, 4))) == 2


@pytest.mark.fault("hostile-test-name")
def test_any_name_makes_a_valid_uri_and_a_bounded_message() -> None:
    """Percent-encoded where a URI demands it; a reader gets the path back."""
    rendered = render(hostile())
    assert rendered.isascii()
    for result, each in zip(results(hostile()), hostile().findings, strict=True):
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isprintable()
        assert not set(uri) & set(' <>"{}|\\^`')
        if "\udc80" not in each.path:
            assert unquote(uri) == each.path
        assert result["message"]["text"].isprintable()
        assert len(result["message"]["text"]) <= 1000
