"""Which cells of an earlier run still hold, and how they stand beside those that were run."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.events import Attempt, Bodies, Evidence
from envmatrix.runs.file import RunWriter, read_durations, read_run
from envmatrix.runs.nodeid import function_of
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.reused import Reuse, complete, is_settled, write_unstarted
from tests.framework.run_files import footer, header

BEFORE, NOW = "a" * 40, "b" * 40


def cell(test: str, outcome: Outcome = Outcome.PASSED, cause: Cause | None = None) -> Cell:
    """A cell of one attempt."""
    evidence = Evidence("L401", "it broke", detail="long") if cause else None
    return Cell(test, outcome, (Attempt(test, outcome, 2.0, cause=cause, evidence=evidence),), cause, evidence)


def run(*cells: Cell, commit: str = BEFORE) -> Run:
    """A run of these cells."""
    planned = tuple(each.test for each in cells)
    bodies = {test: f"body of {test}" for test in planned}
    return Run(
        header("local", planned=planned, commit=commit), {each.test: each for each in cells}, footer(), bodies=bodies
    )


def written(path: Path, *tests: str, deselected: int = 0) -> Path:
    """A run file in which tests passed."""
    writer = RunWriter(path)
    writer.write(header("local", planned=tests, commit=NOW))
    writer.write(Bodies(digests=tuple("new" for _ in tests)))
    for test in tests:
        writer.write(Attempt(test, Outcome.PASSED, 1.0))
    writer.write(structs.replace(footer(), deselected=deselected))
    writer.close()
    return path


RED = cell("t.py::b", Outcome.FAILED, Cause.LOGIC)
EARLIER = run(cell("t.py::a[1]"), cell("t.py::a[2]"), RED, cell("t.py::C::d"))


@pytest.mark.parametrize(
    ("test", "function"),
    [
        ("t.py::a[1]", "t.py::a"),
        ("t.py::C::d", "t.py::C::d"),
        ("t.py::a[x::y[z]]", "t.py::a"),
        ("x[1]/t.py::a", "x[1]/t.py::a"),
    ],
)
def test_a_function_is_a_test_without_parameters(test: str, function: str) -> None:
    """Whatever the parameters or the directories are called."""
    assert function_of(test) == function


def test_what_is_known_and_not_selected_is_taken_over() -> None:
    """All parameters of a function, or none."""
    reuse = Reuse.of(EARLIER, selected={"t.py::b"}, known={"t.py::a", "t.py::b", "t.py::C::d"})
    assert reuse.tests == ("t.py::a[1]", "t.py::a[2]", "t.py::C::d")
    assert reuse.starts


def test_what_the_source_does_not_show_is_run() -> None:
    """It was made by something that nobody can follow."""
    reuse = Reuse.of(EARLIER, selected=(), known={"t.py::a"})
    assert reuse.tests == ("t.py::a[1]", "t.py::a[2]")
    assert reuse.starts


def test_what_is_new_is_run() -> None:
    """There is nothing to take over."""
    assert Reuse.of(EARLIER, (), {"t.py::a", "t.py::b", "t.py::C::d", "t.py::new"}).starts
    assert not Reuse.of(EARLIER, (), {"t.py::a", "t.py::b", "t.py::C::d"}).starts


@pytest.mark.parametrize("cause", [Cause.INFRASTRUCTURE, Cause.HARNESS, Cause.UNDETERMINED])
def test_what_an_outage_hid_is_run_again(cause: Cause) -> None:
    """Nobody knows what it would be."""
    lost = cell("t.py::a", Outcome.FAILED, cause)
    assert not is_settled(lost)
    assert Reuse.of(run(lost), (), {"t.py::a"}).tests == ()
    assert not is_settled(cell("t.py::a", Outcome.NOT_RUN, Cause.HARNESS))
    assert is_settled(RED)


def test_a_run_file_says_what_was_not_run(tmp_path: Path) -> None:
    """Each such cell with the commit that it is of; the others as they were run; nothing counts as left out."""
    path = written(tmp_path / "local.jsonl", "t.py::b", "t.py::new", deselected=4)
    complete(path, Reuse.of(EARLIER, {"t.py::b"}, {"t.py::a", "t.py::b", "t.py::C::d"}))
    read = read_run(path)
    assert list(read.cells) == ["t.py::a[1]", "t.py::a[2]", "t.py::b", "t.py::C::d", "t.py::new"]
    assert read.complete
    assert read.reused == {BEFORE: ["t.py::a[1]", "t.py::a[2]", "t.py::C::d"]}
    assert not read.cells["t.py::b"].reused_from
    assert read.footer is not None
    assert read.footer.deselected == 1
    assert read.bodies["t.py::a[1]"] == "body of t.py::a[1]"
    assert read.bodies["t.py::b"] == "new"
    assert read_durations(path)["t.py::a[1]"] == 2.0


def test_a_failure_keeps_its_cause_and_its_commit(tmp_path: Path) -> None:
    """Taken over twice, it is still of the commit that it was run at."""
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    write_unstarted(first, Reuse.of(EARLIER, (), {"t.py::a", "t.py::b", "t.py::C::d"}), commit=NOW, dirty=False)
    again = read_run(first)
    assert again.header.commit == NOW
    assert again.header.run_id != EARLIER.header.run_id
    write_unstarted(second, Reuse.of(again, (), {"t.py::b"}), commit="c" * 40, dirty=True)
    read = read_run(second)
    held = read.cells["t.py::b"]
    assert (held.outcome, held.cause, held.reused_from) == (Outcome.FAILED, Cause.LOGIC, BEFORE)
    assert held.evidence == Evidence("L401", "it broke")
    assert read.header.dirty


@pytest.mark.fault("half-written-jsonl")
def test_a_run_that_was_killed_stays_cut_short(tmp_path: Path) -> None:
    """What was taken over does not make a whole of it."""
    path = written(tmp_path / "local.jsonl", "t.py::b", "t.py::new")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]) + lines[-1][:20])
    complete(path, Reuse.of(EARLIER, {"t.py::b"}, {"t.py::a", "t.py::b", "t.py::C::d"}))
    read = read_run(path)
    assert read.footer is None
    assert read.cells["t.py::new"].outcome is Outcome.NOT_RUN
    assert read.cells["t.py::a[1]"].reused_from


def test_nothing_is_added_to_what_says_nothing(tmp_path: Path) -> None:
    """A run without a file is missing, and a file that is none stays as it is."""
    reuse = Reuse.of(EARLIER, (), {"t.py::a"})
    complete(tmp_path / "none.jsonl", reuse)
    assert not (tmp_path / "none.jsonl").exists()
    (tmp_path / "broken.jsonl").write_text("no")
    complete(tmp_path / "broken.jsonl", reuse)
    assert (tmp_path / "broken.jsonl").read_text() == "no"
