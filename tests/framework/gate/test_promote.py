"""Promotion: only a clean, fresh, compatible run of that very commit lets it go on."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from envmatrix.gate import Answer, Verdict, judge
from envmatrix.gate.promote import promote
from envmatrix.matrix.table import Column
from envmatrix.runs.cells import Run
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.run_files import write_run

COMMIT = "c" * 40
NOW = datetime(2026, 1, 2, 4, 4, 5, tzinfo=UTC)


def run(path: Path, outcome: Outcome = Outcome.PASSED) -> Run:
    """A run of one test, made an hour before now."""
    cause = Cause.LOGIC if outcome is Outcome.FAILED else None
    return write_run(path / "local.jsonl", Attempt("a", outcome, cause=cause))


def judged(source: Run | None, *, commit: str = COMMIT, now: datetime = NOW, target: Run | None = None) -> Verdict:
    """Whether a commit may go from local to staging."""
    return promote(
        Column(source) if source else None,
        Column(target) if target else None,
        names=("local", "staging"),
        verdict=judge(source) if source else None,
        commit=commit,
        now=now,
        maximum_age=24.0,
    )


def test_a_compatible_run_of_the_commit_lets_it_go(tmp_path: Path) -> None:
    """What is known of the target is told."""
    verdict = judged(run(tmp_path))
    assert verdict.answer is Answer.COMPATIBLE
    assert [reason.text for reason in verdict.reasons] == [
        "nothing is known of staging: no run of it is here",
        "local: 1 of 1 test passed",
    ]
    with_target = judged(run(tmp_path / "a"), target=write_run(tmp_path / "s.jsonl", environment="staging"))
    assert with_target.reasons[0].text == "staging was last run at cccccccccccc, 2026-01-02T03:04"


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (
            {},
            {"commit": "d" * 40},
            "of another commit: local was run at cccccccccccc, the one to promote is dddddddddddd",
        ),
        ({}, {"now": datetime(2026, 1, 3, 4, 4, 5, tzinfo=UTC)}, "stale: local was run 25 hours ago, at most 24 count"),
    ],
    ids=["other commit", "stale"],
)
def test_evidence_that_is_none_is_named(
    tmp_path: Path, change: dict[str, object], more: dict[str, object], said: str
) -> None:
    """Unknown, with what is wrong with it."""
    source = run(tmp_path)
    source = replace(source, header=structs.replace(source.header, **change))
    verdict = judged(source, **more)  # type: ignore[arg-type]  # its own keywords
    assert verdict.answer is Answer.UNKNOWN
    assert verdict.reasons[0].text == said


def test_no_run_is_no_evidence() -> None:
    """What to run is said."""
    verdict = judged(None)
    assert verdict.answer is Answer.UNKNOWN
    assert verdict.reasons[0].text == "missing: there is no run of local: envmatrix run local"


def test_an_incompatible_commit_stays(tmp_path: Path) -> None:
    """With the reason of the environment's own verdict."""
    verdict = judged(run(tmp_path, Outcome.FAILED))
    assert verdict.answer is Answer.INCOMPATIBLE
    assert verdict.reasons[0].text.startswith("local: 1 test failed")


def test_what_was_not_run_at_the_commit_is_no_evidence(tmp_path: Path) -> None:
    """Impact may be wrong; what goes on to the next environment was run."""
    source = run(tmp_path)
    held = {name: cell._replace(reused_from="b" * 40) for name, cell in source.cells.items()}
    verdict = judged(replace(source, cells=held))
    assert verdict.answer is Answer.UNKNOWN
    assert verdict.reasons[0].text == "in part: 1 of 1 test of local not run at it, but taken over: run all"
