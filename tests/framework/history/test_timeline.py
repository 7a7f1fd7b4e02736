"""What a timeline says."""

import pytest

from envmatrix.history import PastCell, Timeline
from envmatrix.runs.outcomes import Cause, Outcome

_RUNS = iter(range(1_000_000))


def entry(
    commit: str,
    outcome: Outcome = Outcome.PASSED,
    cause: Cause | None = None,
    *,
    dirty: bool = False,
    duration: float = 1.0,
) -> PastCell:
    """One run of the test, later than those made before."""
    number = next(_RUNS)
    cause = cause or (Cause.LOGIC if outcome is Outcome.FAILED else None)
    return PastCell(
        "a.py::x",
        "local",
        "local",
        commit,
        dirty,
        f"2026-01-01T{number:06}",
        f"{number}",
        outcome,
        cause,
        "",
        "",
        duration,
        1,
    )


def good(commit: str) -> PastCell:
    """It passed."""
    return entry(commit)


def bad(commit: str) -> PastCell:
    """It failed by the product's fault."""
    return entry(commit, Outcome.FAILED)


def timeline(*entries: PastCell, order: dict[str, int] | None = None) -> Timeline:
    """All of them, in one environment."""
    return Timeline.of("local", entries, order)


def test_rates_are_of_the_runs_that_say_something() -> None:
    """An outage, a skip and a run cut short count in neither."""
    made = timeline(
        good("a"),
        bad("b"),
        entry("c", Outcome.FLAKY),
        entry("d", Outcome.FAILED, Cause.INFRASTRUCTURE),
        entry("e", Outcome.SKIPPED),
        entry("f", Outcome.NOT_RUN, Cause.HARNESS),
    )
    assert made.pass_rate == pytest.approx(2 / 3)
    assert made.flake_rate == pytest.approx(1 / 3)


def test_failing_on_a_commit_that_also_passed_is_flaky() -> None:
    """The same code, two outcomes; of uncommitted changes nobody knows that."""
    assert timeline(bad("a"), good("a")).flake_rate == 0.5
    assert timeline(entry("a", Outcome.FAILED, dirty=True), good("a")).flake_rate == 0.0
    assert timeline(entry("unknown", Outcome.FAILED), good("unknown")).flake_rate == 0.0


def test_without_a_run_that_says_something_there_is_no_rate() -> None:
    """Not zero."""
    made = timeline(entry("a", Outcome.SKIPPED))
    assert (made.pass_rate, made.flake_rate, made.duration, made.trend) == (None, None, None, None)
    assert (made.last_good, made.first_bad) == ("", "")


@pytest.mark.parametrize(
    ("entries", "last_good", "first_bad"),
    [
        ([good("a"), bad("b"), bad("c")], "a", "b"),
        ([good("a"), bad("b"), good("c")], "c", ""),
        ([bad("a"), good("b"), bad("c"), bad("d")], "b", "c"),
        ([bad("a"), bad("b")], "", "a"),
        ([good("a"), entry("b", Outcome.FAILED, Cause.INFRASTRUCTURE), bad("c")], "a", "c"),
        ([good("a"), entry("a", Outcome.FAILED, dirty=True), bad("b")], "a", "b"),
        ([entry("a", dirty=True), bad("a")], "", "a"),
        ([good("a"), bad("b"), good("b")], "b", ""),
        ([good("a"), entry("b", Outcome.SKIPPED), bad("c")], "a", "c"),
    ],
    ids=[
        "broken",
        "fixed",
        "broken-again",
        "never-good",
        "outage",
        "uncommitted",
        "uncommitted-fix",
        "flaked",
        "skipped",
    ],
)
def test_the_first_bad_commit_follows_the_last_good_one(
    entries: list[PastCell], last_good: str, first_bad: str
) -> None:
    """Only what failed by the product's fault, at a commit, and never passed there, is bad."""
    made = timeline(*entries)
    assert (made.last_good, made.first_bad) == (last_good, first_bad)


def test_git_knows_better_than_the_clock_which_commit_came_first() -> None:
    """An old commit that is run again, as a bisection does, is not the last one."""
    entries = [good("a"), bad("d"), good("b"), bad("c")]
    assert timeline(*entries).last_good == "b"
    assert timeline(*entries).first_bad == "c"
    swapped = timeline(bad("c"), good("a"), order={"a": 0, "c": 1})
    assert (swapped.last_good, swapped.first_bad) == ("a", "c")


def test_commits_that_git_does_not_know_stand_where_they_were_run() -> None:
    """Those of a branch that was deleted."""
    made = timeline(bad("c"), good("lost"), good("a"), order={"a": 0, "c": 1})
    assert (made.last_good, made.first_bad) == ("lost", "c")


def test_the_trend_is_the_last_runs_against_those_before() -> None:
    """By medians, so that one slow machine moves nothing; with too few runs nobody knows."""
    before = [entry("a", duration=seconds) for seconds in (1.0, 1.0, 60.0, 1.0, 1.0)]
    now = [entry("b", duration=seconds) for seconds in (1.5, 1.5, 1.5, 1.5, 0.1)]
    made = timeline(*before, *now)
    assert made.duration == 1.5
    assert made.trend == pytest.approx(0.5)
    assert timeline(*before[1:], *now).trend is None
