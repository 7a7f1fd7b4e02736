"""The baseline's file: what is written is read, and what somebody edited is refused."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envmatrix.exceptions import BaselineError
from envmatrix.gate.baseline import Baseline, Known, environments_of, read_baseline, write_baseline
from envmatrix.matrix.table import Matrix
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.run_files import write_run

PASSED, WRONG = Known(Outcome.PASSED), Known(Outcome.FAILED, Cause.LOGIC)


def baseline(cells: Mapping[str, Known], environment: str = "local") -> Baseline:
    """A baseline of one environment."""
    return Baseline("c" * 40, "2026-01-02T03:04:05+00:00", {environment: cells})


def signed(**document: object) -> bytes:
    """A file with a true digest, whatever it says."""
    document["schema"] = 1
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return json.dumps({**document, "digest": digest}).encode()


names = st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable())
knowns = st.sampled_from([PASSED, WRONG, Known(Outcome.SKIPPED), Known(Outcome.NOT_RUN, Cause.CONTRACT)])


@given(cells=st.dictionaries(names, knowns, max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, cells: dict[str, Known]) -> None:
    """Whatever tests are called."""
    path = tmp_path_factory.mktemp("b") / "baseline.json"
    write_baseline(path, baseline(cells))
    assert read_baseline(path) == baseline(cells)


def test_it_holds_what_the_gate_compares(tmp_path: Path) -> None:
    """Outcome and cause by environment and test; what was not run tells something only where a failure blocked it."""
    run = write_run(
        tmp_path / "r.jsonl",
        Attempt("a", Outcome.PASSED),
        Attempt("b", Outcome.FAILED, cause=Cause.LOGIC),
        Attempt("d", Outcome.NOT_RUN, cause=Cause.CONTRACT, evidence=Evidence("C102", "blocked by b")),
        planned=["a", "b", "c", "d"],
    )
    made = Baseline.of(Matrix.from_runs([run]), "2026-01-02T03:04:05+00:00")
    assert made == baseline({"a": PASSED, "b": WRONG, "d": Known(Outcome.NOT_RUN, Cause.CONTRACT)})
    assert made.age(datetime(2026, 1, 4, 3, 4, 5, tzinfo=UTC)) == 2.0


def test_a_review_sees_one_cell_a_line(tmp_path: Path) -> None:
    """Sorted, so that the order of a run changes nothing; an update replaces all of it."""
    path = tmp_path / "baseline.json"
    write_baseline(path, baseline({"z": WRONG, "a": PASSED, "gone": PASSED}))
    before = path.read_text()
    write_baseline(path, baseline({"gone": PASSED, "a": PASSED, "z": WRONG}))
    assert path.read_text() == before
    write_baseline(path, baseline({"z": WRONG, "a": WRONG}))
    assert path.read_text().splitlines()[-6:] == [
        '  "local": {',
        '   "a": "failed logic",',
        '   "z": "failed logic"',
        "  }",
        " }",
        "}",
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_the_environments_of_an_edited_one_are_known(tmp_path: Path) -> None:
    """An update must not drop one unseen; what is not even JSON is for a person to delete."""
    path = tmp_path / "baseline.json"
    assert environments_of(path) == ()
    write_baseline(path, baseline({"a": PASSED}))
    path.write_text(path.read_text().replace("passed", "failed logic"))
    assert environments_of(path) == ("local",)
    path.write_text(f"<<<<<<< HEAD\n{path.read_text()}")
    with pytest.raises(BaselineError, match="is not JSON"):
        environments_of(path)


@pytest.mark.fault("hostile-test-name")
def test_a_name_that_is_no_text_is_kept(tmp_path: Path) -> None:
    """Half a surrogate pair is written as an escape."""
    run = write_run(tmp_path / "r.jsonl", Attempt("a\ud800", Outcome.PASSED), Attempt("b", Outcome.PASSED))
    made = Baseline.of(Matrix.from_runs([run]), "2026-01-02T03:04:05+00:00")
    write_baseline(tmp_path / "b.json", made)
    assert read_baseline(tmp_path / "b.json") == baseline({"a\ud800": PASSED, "b": PASSED})


@pytest.mark.fault("baseline-tampered")
@pytest.mark.parametrize(
    ("old", "new"),
    [('"failed logic"', '"passed"'), ('"cccc', '"dddd'), ("2026-01", "2027-01"), ('"b": "', '"other": "')],
    ids=["outcome", "commit", "date", "name"],
)
def test_one_that_was_edited_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """Whoever turns a failure into a pass by hand is found out."""
    path = tmp_path / "baseline.json"
    write_baseline(path, baseline({"b": WRONG}))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(BaselineError, match="was edited by hand"):
        read_baseline(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is not JSON: "),
        (b"[]", "is no baseline: not a JSON object"),
        (b'{"schema": 2}', "is of schema 2; this envmatrix reads schema 1"),
        (b'{"schema": 1}', "is no baseline: KeyError"),
        (b'{"schema": ', "is not JSON: "),
        (b"\xff", "is not JSON: "),
        (b"[" * 100_000, "is nested too deeply to be read"),
        (b'{"schema": ' + b"1" * 5_000 + b"}", "is not JSON: Exceeds the limit"),
        (signed(commit="c", made_at="never", environments={}), "is no baseline: ValueError"),
        (signed(commit="c", made_at="2026-01-02", environments={"local": {"a": "good"}}), "is no baseline: ValueError"),
        (signed(commit="c", made_at="2026-01-02", environments=[]), "is no baseline: AttributeError"),
    ],
)
def test_what_is_no_baseline_is_refused_in_one_line(tmp_path: Path, content: bytes, what: str) -> None:
    """The file and what is wrong with it."""
    path = tmp_path / "baseline.json"
    path.write_bytes(content)
    with pytest.raises(BaselineError) as refused:
        read_baseline(path)
    assert str(path) in refused.value.message
    assert what in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.fault("baseline-missing")
def test_a_missing_one_is_said(tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(BaselineError, match=r"is missing\. Make it from a run that you trust"):
        read_baseline(tmp_path / "none.json")
