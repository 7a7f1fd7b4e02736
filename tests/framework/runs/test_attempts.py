"""Attempts read the fast way: as the slow way reads them, or not at all."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envmatrix.exceptions import RunFileError
from envmatrix.runs.attempts import attempt_of, test_of
from envmatrix.runs.cells import Attempt, Outcome
from envmatrix.runs.file import attempt_line, read_event
from tests.framework.runs.test_file import EVIDENCE

test_of.__test__ = False  # type: ignore[attr-defined]  # a name that pytest would collect

PASS: dict[str, object] = {"type": "attempt", "test": "t.py::test", "outcome": "passed", "duration": 0.5}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "passed", "logic", "gw0"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["rule", "summary"]), inner),
    max_leaves=4,
)


@pytest.mark.fault("hostile-test-name")
@given(
    changed=st.dictionaries(
        st.sampled_from([*PASS, "worker", "reason", "cause", "evidence", "services", "new"]), anything
    )
)
def test_both_ways_read_the_same(changed: dict[str, object]) -> None:
    """Whatever a line says, what the fast way reads is what the slow way reads; the rest is the slow way's to refuse."""
    line = json.dumps(PASS | changed).encode()
    fast, name = attempt_of(line, ""), test_of(line)
    if fast is not None:
        assert read_event(Path("run.jsonl"), 2, line) == fast
        assert fast.test == name


@pytest.mark.parametrize(
    "attempt",
    [
        Attempt(
            "t.py::test", Outcome.PASSED, 0.25, "gw1", services=("backend",), capabilities=("backend", "websocket")
        ),
        Attempt('t.py::test[ä\n"]', Outcome.SKIPPED, reason="not here"),
        Attempt("t.py::test", Outcome.FAILED, 1.5, evidence=EVIDENCE),
    ],
)
def test_what_we_write_is_read_the_fast_way(attempt: Attempt) -> None:
    """No outcome needs the slow way: a suite where everything is skipped is read as fast as one where all is well."""
    assert attempt_of(attempt_line(attempt).encode(), "") == attempt


def test_a_likely_name_is_shared() -> None:
    """The test's name is the very string that was expected: a million cells do not hold a million names."""
    likely = str(PASS["test"])
    read = attempt_of(json.dumps(PASS).encode(), likely)
    assert read is not None
    assert read.test is likely


def test_a_line_nested_without_end_is_refused_in_one_line() -> None:
    """What no reader can hold is damage with its place, not a crash."""
    deep = "[" * sys.getrecursionlimit() * 100
    line = json.dumps(PASS).replace("}", f', "evidence": {deep}').encode()
    assert attempt_of(line, "") is None
    assert test_of(line) is None
    with pytest.raises(RunFileError, match="not JSON"):
        read_event(Path("run.jsonl"), 2, line)
