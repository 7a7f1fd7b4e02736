"""The baseline's file: what is written is read, comments stay, and what somebody edited is refused."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envmatrix.exceptions import BaselineError
from envmatrix.gate.baseline import Baseline, Known, read_baseline, write_baseline
from envmatrix.matrix.table import Matrix
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.run_files import write_run

PASSED, WRONG = Known(Outcome.PASSED), Known(Outcome.FAILED, Cause.LOGIC)


def baseline(cells: Mapping[str, Known], environment: str = "local") -> Baseline:
    """A baseline of one environment."""
    return Baseline("c" * 40, "2026-01-02T03:04:05+00:00", {environment: cells})


names = st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable())
knowns = st.sampled_from([PASSED, WRONG, Known(Outcome.SKIPPED), Known(Outcome.NOT_RUN, Cause.CONTRACT)])


@given(cells=st.dictionaries(names, knowns, max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, cells: dict[str, Known]) -> None:
    """Whatever tests are called."""
    path = tmp_path_factory.mktemp("b") / "baseline.toml"
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


def test_an_update_keeps_comments_and_order(tmp_path: Path) -> None:
    """What people wrote beside a line stays beside it; what is gone goes, what is new comes."""
    path = tmp_path / "baseline.toml"
    write_baseline(path, baseline({"z": WRONG, "a": PASSED, "gone": PASSED}))
    text = path.read_text().replace('"failed logic"', '"failed logic" # since the move, see #12')
    path.write_text(f"# Ours.\n{text}")
    write_baseline(path, baseline({"a": PASSED, "new": PASSED, "z": WRONG}))
    lines = path.read_text().splitlines()
    assert lines[0] == "# Ours."
    assert lines[-3:] == ['z = "failed logic" # since the move, see #12', 'a = "passed"', 'new = "passed"']
    assert read_baseline(path) == baseline({"a": PASSED, "new": PASSED, "z": WRONG})


def test_an_update_changes_nothing_but_what_a_run_says(tmp_path: Path) -> None:
    """However the file is written: line ends, indents, quotes, tables of others; an environment that is gone goes."""
    path = tmp_path / "baseline.toml"
    old = Baseline("c" * 40, "2026-01-02T03:04:05+00:00", {"local": {"a b": PASSED}, "old": {"x": PASSED}})
    write_baseline(path, old)
    text = (
        path.read_text()
        .replace('"a b" =', "  'a b'   =")
        .replace("[environments.old]", "# Of old.\n[environments.old]")
    )
    text = text.replace("[environments.local]", "# Ours.\n[ environments . 'local' ] # here") + "\n[notes]\nx = [1]\n"
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert read_baseline(path) == old
    write_baseline(path, baseline({"a b": WRONG, "é\n\x7f": PASSED}))
    assert read_baseline(path) == baseline({"a b": WRONG, "é\n\x7f": PASSED})
    written = path.read_bytes().decode()
    assert written.count("\r\n") == written.count("\n")
    assert written.replace("\r\n", "\n").partition("\n\n")[2] == (
        '# Ours.\n[ environments . \'local\' ] # here\n  \'a b\'   = "failed logic"\n"é\\n\\u007f" = "passed"\n\n'
        "[notes]\nx = [1]\n"
    )


def test_one_that_lines_do_not_tell_is_left_as_it_is(tmp_path: Path) -> None:
    """Whoever wrote it in another form is told."""
    path = tmp_path / "baseline.toml"
    write_baseline(path, baseline({"a": PASSED}))
    path.write_text(path.read_text().replace('[environments.local]\na = "passed"', 'environments.local.a = "passed"'))
    text = path.read_text()
    for there in (text, "schema = ["):
        path.write_text(there)
        with pytest.raises(BaselineError, match="cannot be changed line by line: delete it first"):
            write_baseline(path, baseline({"a": WRONG}))
        assert path.read_text() == there


@pytest.mark.fault("hostile-test-name")
def test_a_name_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    """No file can hold half a surrogate pair; the rest is kept."""
    run = write_run(tmp_path / "r.jsonl", Attempt("a\ud800", Outcome.PASSED), Attempt("b", Outcome.PASSED))
    made = Baseline.of(Matrix.from_runs([run]), "2026-01-02T03:04:05+00:00")
    write_baseline(tmp_path / "b.toml", made)
    assert read_baseline(tmp_path / "b.toml") == baseline({"b": PASSED})


@pytest.mark.fault("baseline-tampered")
@pytest.mark.parametrize(
    ("old", "new"),
    [('"failed logic"', '"passed"'), ('"cccc', '"dddd'), ("2026-01", "2027-01"), ('b = "', '"other" = "')],
    ids=["outcome", "commit", "date", "name"],
)
def test_one_that_was_edited_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """Whoever turns a failure into a pass by hand is found out."""
    path = tmp_path / "baseline.toml"
    write_baseline(path, baseline({"b": WRONG}))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(BaselineError, match="was edited by hand"):
        read_baseline(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is no baseline: "),
        (b"schema = 2", "is of schema 2; this envmatrix reads schema 1"),
        (b"schema = ", "is no baseline: "),
        (b"\xff", "is no baseline: not UTF-8"),
        (b"schema = 1\ncommit = 'c'\nmade_at = 'never'\ndigest = 'd'", "is no baseline: "),
        (b"schema = 1\ncommit='c'\nmade_at='m'\ndigest='d'\n[environments.local]\na = 'good'", "is no baseline: "),
    ],
)
def test_what_is_no_baseline_is_refused_in_one_line(tmp_path: Path, content: bytes, what: str) -> None:
    """The file and what is wrong with it."""
    path = tmp_path / "baseline.toml"
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
        read_baseline(tmp_path / "none.toml")
