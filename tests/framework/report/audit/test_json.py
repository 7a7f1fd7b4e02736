"""The audit for programs: nothing shortened, nothing lost."""

import json

import pytest

from envmatrix.report.audit.json_ import render
from tests.framework.report.audit.samples import MISSING, everything, hostile


def test_everything_is_in_it() -> None:
    """Counts, findings with all of their tests, what is unknown and what is stale."""
    document = json.loads(render(everything()))
    assert document["schema"] == 1
    assert document["counts"] == {"EM101": 1, "EM105": 1}
    assert (document["suppressed"], document["known"], document["files"], document["tests"]) == (2, 3, 4, 20)
    assert document["findings"][0] == {
        "path": MISSING.path,
        "line": 3,
        "column": 14,
        "code": "EM101",
        "message": MISSING.message,
        "hint": MISSING.hint,
        "masked": "skip",
        "tests": list(MISSING.tests),
    }
    assert document["findings"][1]["masked"] is None
    assert [each["code"] for each in document["unknown"]] == ["EM108"]
    assert document["stale"] == [
        {"path": "tests/gone.py", "code": "EM104", "message": "fixtures ask for each other"},
    ]


@pytest.mark.fault("hostile-test-name")
def test_any_name_is_read_back_as_it_was() -> None:
    """And is ASCII on the way, so that no terminal and no log obeys it."""
    rendered = render(hostile())
    assert rendered.isascii()
    assert rendered.replace("\n", "").isprintable()
    assert [each["hint"] for each in json.loads(rendered)["findings"]] == [each.hint for each in hostile().findings]
