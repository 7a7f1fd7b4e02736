"""Attempts, as msgspec reads their lines and as plain JSON is converted: both are the same, or an error."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envmatrix.exceptions import RunFileError
from envmatrix.runs.events import Attempt
from envmatrix.runs.file import _decode, _read_slowly, event_line, read_event, read_run, test_of
from envmatrix.runs.outcomes import Outcome
from tests.framework.run_files import write_run
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
    """What msgspec reads of a line is what the conversion of its JSON gives; anything else is refused with its place."""
    path, line = Path("run.jsonl"), json.dumps(PASS | changed).encode()
    try:
        event = read_event(path, 2, line)
    except RunFileError:
        with pytest.raises(RunFileError, match=r"run.jsonl:2: is damaged: "):
            _read_slowly(path, 2, line)
    else:
        assert _read_slowly(path, 2, line) == event


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
    """No outcome needs the conversion: a suite where all is skipped is read as fast as one where all passed."""
    assert _decode(event_line(attempt)) == attempt


def test_names_are_shared(tmp_path: Path) -> None:
    """The test's name is the header's very string, and services one tuple: a million cells do not hold a million."""
    attempts = (Attempt(f"t.py::{n}", Outcome.PASSED, worker="gw1", services=("a", "b")) for n in range(2))
    write_run(tmp_path / "run.jsonl", *attempts)
    run = read_run(tmp_path / "run.jsonl")
    one, two = (cell.attempts[0] for cell in run.cells.values())
    assert (one.test, two.test) == run.header.planned
    assert one.test is run.header.planned[0]
    assert one.services is two.services
    assert one.worker is two.worker


def test_a_line_nested_without_end_is_refused_in_one_line() -> None:
    """What no reader can hold is damage with its place, not a crash."""
    deep = "[" * sys.getrecursionlimit() * 100
    line = json.dumps(PASS).replace("}", f', "evidence": {deep}').encode()
    assert test_of(line) is None
    with pytest.raises(RunFileError, match="not JSON"):
        read_event(Path("run.jsonl"), 2, line)
