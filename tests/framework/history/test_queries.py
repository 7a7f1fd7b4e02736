"""What a history answers, be it kept in SQLite or in Parquet: the same questions have the same answers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from envmatrix.gate import judge_all
from envmatrix.history import History, Timeline, remember
from envmatrix.history.objects import place_of
from envmatrix.history.parquet import ParquetHistory, export
from envmatrix.history.rows import rows_of
from envmatrix.matrix.compare import ChangeKind, Side, compare
from envmatrix.matrix.table import Matrix
from envmatrix.runs.cells import Run
from envmatrix.runs.events import Attempt, Evidence, FindingRecord
from envmatrix.runs.file import read_run
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.reused import Reuse, write_unstarted
from tests.framework.run_files import write_run

ONE, TWO = "test_a.py::test_one", "test_a.py::test_two"
WRONG = Evidence("L401", "AssertionError: assert 1 == 2", "call", "test_a.py:3")


class Recorder:
    """Records runs, each a minute after the one before."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.directory = directory
        self.path = directory / "history.sqlite"
        self.place = place_of(str(directory / "parquet"), directory) if kind == "parquet" else None
        self._number = 0

    def open(self) -> History:
        """Open what is recorded by now."""
        return ParquetHistory(self.place, "here") if self.place else History(self.path)

    def keep(self, run: Run) -> None:
        """Record a run."""
        if self.place:
            assert export([rows_of(run)], self.place) == 1
        else:
            assert remember(self.path, [run]) == ""

    def __call__(
        self,
        *attempts: Attempt,
        commit: str = "c" * 40,
        environment: str = "local",
        dirty: bool = False,
        narrowed: tuple[str, ...] = (),
        base: str = "",
        bodies: Sequence[str] = (),
    ) -> Run:
        """Record a run of some attempts."""
        self._number += 1
        path = self.directory / f"{self._number}.jsonl"
        about = {"commit": commit, "environment": environment, "base": base, "narrowed": narrowed}
        write_run(path, *attempts, run_id=f"{self._number}", **about)  # type: ignore[arg-type]  # header's own keywords
        written = path.read_text().replace("2026-01-02T03:04:05", f"2026-01-02T03:{self._number:02}:05")
        if bodies:
            written += json.dumps({"type": "bodies", "digests": bodies}) + "\n"
        path.write_text(written.replace('"dirty":false', '"dirty":true') if dirty else written)
        run = read_run(path)
        self.keep(run)
        return run


@pytest.fixture(params=["sqlite", "parquet"])
def record(tmp_path: Path, request: pytest.FixtureRequest) -> Recorder:
    """Records runs."""
    return Recorder(tmp_path, request.param)


class Asked:
    """Asks what is recorded by then."""

    def __init__(self, record: Recorder) -> None:
        self._record = record

    def __getattr__(self, question: str) -> Any:
        def ask(*words: object) -> Any:
            with self._record.open() as history:
                return getattr(history, question)(*words)

        return ask


@pytest.fixture
def history(record: Recorder) -> Any:
    """What was recorded, once there is something."""
    record(Attempt(ONE, Outcome.PASSED, 1.0), commit="a" * 40)
    return Asked(record)


def failed(test: str = ONE, cause: Cause = Cause.LOGIC) -> Attempt:
    """A try that failed."""
    return Attempt(test, Outcome.FAILED, 0.5, cause=cause, evidence=WRONG)


def test_a_test_is_found_by_its_name_or_a_part_of_it(record: Recorder, history: History) -> None:
    """The exact name first: what it is a part of is not meant."""
    record(Attempt(f"{ONE}_more", Outcome.PASSED), Attempt(TWO, Outcome.PASSED))
    assert history.tests_like(ONE) == (ONE,)
    assert history.tests_like("test_one") == (ONE, f"{ONE}_more")
    assert history.tests_like("nobody") == ()


def test_entries_come_by_environment_in_the_order_of_the_runs(record: Recorder, history: History) -> None:
    """Whatever the order in which they were recorded."""
    record(failed(), Attempt(ONE, Outcome.PASSED, 0.25), environment="staging")
    record(failed())
    entries = history.cells(ONE)
    assert [(entry.environment, entry.outcome) for entry in entries] == [
        ("local", Outcome.PASSED),
        ("local", Outcome.FAILED),
        ("staging", Outcome.FLAKY),
    ]
    assert (entries[1].cause, entries[1].rule, entries[1].summary) == (Cause.LOGIC, "L401", WRONG.summary)
    assert (entries[2].duration, entries[2].attempts) == (0.75, 2)
    assert [entry.environment for entry in history.cells(ONE, "staging")] == ["staging"]
    assert history.cells("nobody") == ()


def test_a_test_is_followed_to_the_names_that_it_had(record: Recorder) -> None:
    """Twice renamed, it still fails since the commit that broke it; each entry tells the name of its time."""
    names = ["test_a.py::test_old", "test_a.py::test_middle", "test_b.py::test_middle"]
    record(Attempt(names[0], Outcome.PASSED), commit="1" * 40, bodies=["body"])
    record(failed(names[0]), commit="2" * 40, bodies=["body"])
    record(failed(names[1]), Attempt(TWO, Outcome.PASSED), commit="3" * 40, bodies=["body", "other"])
    record(Attempt(names[2], Outcome.PASSED), environment="staging", bodies=["body"])
    record(Attempt(TWO, Outcome.PASSED), failed(names[2]), commit="4" * 40, bodies=["other", "body"])
    with record.open() as history:
        entries = history.cells(names[2], "local")
        timeline = Timeline.of("local", entries)
        assert [entry.test for entry in entries] == [names[0], names[0], names[1], names[2]]
        assert (timeline.last_good, timeline.first_bad) == ("1" * 40, "2" * 40)
        assert [entry.test for entry in history.cells(TWO)] == [TWO, TWO]
        assert len(history.cells(names[2], "staging")) == 1


def test_a_matrix_comes_back_as_far_as_it_is_compared_and_judged(record: Recorder, tmp_path: Path) -> None:
    """Same cells, bodies and verdicts: of the evidence there are the rule and its summary."""
    skipped = Attempt("test_a.py::test_skipped", Outcome.SKIPPED, reason="no redis")
    path = tmp_path / "whole.jsonl"
    run = write_run(
        path, failed(), skipped, planned=[ONE, skipped.test, TWO], findings=[FindingRecord(rule="H304", message="b.py")]
    )
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], '{"type":"bodies","digests":["1","2",""]}', *lines[1:], ""]))
    run = read_run(path)
    record.keep(run)
    before = Matrix.from_runs([run])
    with record.open() as history:
        after = history.matrix_of(run.header.commit)
    assert after is not None
    comparison = compare(Side.of("file", before), Side.of("history", after))
    assert comparison.counts == {ChangeKind.SAME: 3}
    assert Side.of("x", after).places == Side.of("x", before).places
    assert judge_all(after) == judge_all(before)
    assert after.runs[0].bodies == {ONE: "1", skipped.test: "2"}
    assert after.runs[0].cells[skipped.test].reason == "no redis"


def test_of_a_commit_the_last_clean_run_counts(record: Recorder, history: History) -> None:
    """Of each environment, a whole one where there is one; what was run with uncommitted changes is of no commit."""
    record(failed(), commit="a" * 40)
    record(Attempt(ONE, Outcome.PASSED), commit="a" * 40, narrowed=("-k one",))
    record(Attempt(ONE, Outcome.PASSED), commit="e" * 40, narrowed=("-k one",))
    record(Attempt(TWO, Outcome.PASSED), commit="a" * 40, environment="staging")
    record(Attempt(ONE, Outcome.PASSED), commit="a" * 40, dirty=True)
    record(Attempt(ONE, Outcome.PASSED), commit="d" * 40, dirty=True)
    matrix = history.matrix_of("a" * 40)
    assert matrix is not None
    assert [column.environment for column in matrix.columns] == ["local", "staging"]
    assert matrix.runs[0].cells[ONE].outcome is Outcome.FAILED
    assert history.matrix_of("d" * 40) is None
    part = history.matrix_of("e" * 40)
    assert part is not None
    assert part.runs[0].header.narrowed == ("-k one",)
    assert history.commits_like("a") == ("a" * 40,)
    assert history.commits_like("") == ("a" * 40, "d" * 40, "e" * 40)


def test_durations_are_medians_of_the_last_passed_runs(record: Recorder, history: History) -> None:
    """Failures are quick for the wrong reason, and old runs are of another time."""
    for seconds in (9.0, *[2.0] * 6, 3.0, 3.0, 3.0):
        record(Attempt(ONE, Outcome.PASSED, seconds), Attempt(TWO, Outcome.PASSED, 0.1))
    record(failed(), Attempt(TWO, Outcome.PASSED, 0.1), environment="staging")
    assert history.durations() == {ONE: 2.0, TWO: pytest.approx(0.1)}
    assert history.durations("staging") == {TWO: pytest.approx(0.1)}
    assert history.slowest(1) == [("local", ONE, 2.0)]
    assert history.slowest(9, "staging") == [("staging", TWO, pytest.approx(0.1))]


def test_earlier_durations_stop_at_a_moment(record: Recorder, history: History) -> None:
    """The run in question, recorded already, is no part of its own past; any time zone is the same moment."""
    record(Attempt(ONE, Outcome.PASSED, 2.0))
    later = record(Attempt(ONE, Outcome.PASSED, 9.0))
    assert history.earlier_durations("local", ONE) == [9.0, 2.0, 1.0]
    assert history.earlier_durations("local", ONE, later.header.started_at) == [2.0, 1.0]
    assert history.earlier_durations("local", ONE, "2026-01-02T04:03:05+01:00") == [2.0, 1.0]
    assert history.earlier_durations("staging", ONE) == []


def test_past_outcomes_are_those_of_the_last_ten_runs(record: Recorder, history: History) -> None:
    """Of one environment, before a moment, the oldest first; a test that a run did not have has fewer."""
    record(failed(), environment="staging")
    for number in range(10):
        record(failed() if number == 8 else Attempt(ONE, Outcome.PASSED), *[failed(TWO)] * (number > 7))
    later = record(failed())
    past = history.past_outcomes("local", later.header.started_at)
    assert past == {ONE: (*[Outcome.PASSED] * 8, Outcome.FAILED, Outcome.PASSED), TWO: (Outcome.FAILED,) * 2}
    assert history.past_outcomes("local", "2026-01-02T00:00:00+00:00") == {}


def test_earlier_numbers_are_those_of_passed_runs(record: Recorder, history: History) -> None:
    """Of that environment alone, the newest first; the matrix of a commit has them again."""
    for number in (1.0, 2.0):
        record(Attempt(ONE, Outcome.PASSED, measured={"login_ms": number}), Attempt(TWO, Outcome.PASSED))
    record(structs.replace(failed(), measured={"login_ms": 3.0}))
    later = record(Attempt(ONE, Outcome.PASSED, measured={"login_ms": 4.0}), commit="d" * 40)
    assert history.earlier_numbers("local", ONE, later.header.started_at) == [{"login_ms": 2.0}, {"login_ms": 1.0}]
    assert history.earlier_numbers("local (twin)", ONE) == history.earlier_numbers("local", TWO) == []
    matrix = history.matrix_of("d" * 40)
    assert matrix is not None
    assert matrix.runs[0].cells[ONE].measured == {"login_ms": 4.0}


def test_the_flakiest_tests_come_first(record: Recorder, history: History) -> None:
    """By their share of flaky runs in one environment; one that just fails is not flaky."""
    for number in range(3):
        flaky = [failed(ONE), Attempt(ONE, Outcome.PASSED)] if number else [Attempt(ONE, Outcome.PASSED)]
        record(*flaky, failed(TWO), commit=f"{number}" * 40)
        record(Attempt(ONE, Outcome.PASSED), environment="staging", commit=f"{number}" * 40)
    ((test, timeline),) = history.flakiest(5)
    assert (test, timeline.environment, timeline.flake_rate) == (ONE, "local", 0.5)
    assert history.flakiest(5, "staging") == []


def test_what_was_taken_over_is_remembered_where_it_was_run(record: Recorder, history: History) -> None:
    """It is no run of its own, and yet it is there for who asks for the later commit."""
    earlier = record(
        Attempt(ONE, Outcome.PASSED, 1.0), Attempt(TWO, Outcome.FAILED, 2.0, cause=Cause.LOGIC, evidence=WRONG)
    )
    reuse = Reuse.of(earlier, selected=(), known={ONE, TWO})
    path = record.directory / "later.jsonl"
    write_unstarted(path, reuse, commit="b" * 40, dirty=False)
    later = read_run(path)
    record.keep(later)
    assert [entry.commit[0] for entry in history.cells(TWO)] == ["c"]
    matrix = history.matrix_of("b" * 40)
    assert matrix is not None
    (run,) = matrix.runs
    assert run.reused == {"c" * 40: [ONE, TWO]}
    assert (run.cells[TWO].outcome, run.cells[TWO].cause) == (Outcome.FAILED, Cause.LOGIC)


def test_the_latest_matrix_has_the_last_run_of_each_environment(record: Recorder, history: History) -> None:
    """Whatever their commits, and dirty or cut off; a narrowed one only where there is no other."""
    record(failed(), commit="b" * 40, dirty=True)
    record(Attempt(ONE, Outcome.PASSED), commit="c" * 40, narrowed=("-k one",))
    record(Attempt(TWO, Outcome.PASSED), environment="staging", narrowed=("-k two",))
    matrix = history.latest()
    assert [(run.header.environment, run.header.commit[0], list(run.cells)) for run in matrix.runs] == [
        ("local", "b", [ONE]),
        ("staging", "c", [TWO]),
    ]


def test_the_last_runs_are_counted(record: Recorder, history: History) -> None:
    """The oldest first; what was taken over is not counted again, and a run without a test is one."""
    record(failed(), Attempt(TWO, Outcome.PASSED), Attempt("test_a.py::test_three", Outcome.PASSED))
    record(commit="e" * 40)
    record(Attempt(ONE, Outcome.PASSED), environment="staging")
    first, second, third = history.runs("local", 9)
    assert first.counts == {Outcome.PASSED: 1}
    assert (second.counts, second.seconds, second.dirty) == ({Outcome.FAILED: 1, Outcome.PASSED: 2}, 1.5, False)
    assert (third.counts, third.commit, third.run_id) == ({}, "e" * 40, "3")
    assert history.runs("local", 1) == [third]


def test_the_longest_tests_come_with_their_durations(record: Recorder, history: History) -> None:
    """Of runs that passed, the oldest first; one slow run among many makes no slow test."""
    for seconds in (90.0, 2.0, 3.0, 4.0):
        record(Attempt(ONE, Outcome.PASSED, seconds), Attempt(TWO, Outcome.PASSED, 8.0))
    record(failed())
    assert history.longest(2, "local") == [(TWO, [8.0] * 4), (ONE, [1.0, 90.0, 2.0, 3.0, 4.0])]
    assert history.longest(1, "local") == [(TWO, [8.0] * 4)]
    assert history.longest(1, "staging") == []


def test_a_run_under_another_name_is_one_of_its_environment(record: Recorder, history: History) -> None:
    """It is in the environment's timeline under its label; of a commit the environment's own run counts before it."""
    own = record(Attempt(ONE, Outcome.PASSED), environment="staging", commit="1" * 40)
    for commit in ("1" * 40, "2" * 40):
        record(failed(), environment="pr-123", base="staging", commit=commit)
    with record.open() as opened:
        assert opened.environments == ("local", "staging")
    assert [(run.header.run_id, run.header.judged_as) for run in history.latest().runs][1:] == [
        (own.header.run_id, "staging")
    ]
    assert [cell.label for cell in history.cells(ONE, "staging")] == ["staging", "pr-123", "pr-123"]
    both, alone = history.matrix_of("1" * 40), history.matrix_of("2" * 40)
    assert both
    assert alone
    assert [run.header.run_id for run in both.runs] == [own.header.run_id]
    assert [(column.environment, column.judged_as) for column in alone.columns] == [("pr-123", "staging")]
