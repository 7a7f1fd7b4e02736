"""Where the shapes of a chart stand."""

from envmatrix.history import Timeline
from envmatrix.history.timeline import PastRun
from envmatrix.report.site.charts import BAR, HEIGHT, about, bars, line, steady
from envmatrix.report.site.facts import PageFacts, Site
from envmatrix.runs.outcomes import Outcome


def past(seconds: float | None = 1.5, run_id: str = "r", **counts: int) -> PastRun:
    """A recorded run."""
    numbers = {Outcome(name): number for name, number in counts.items()}
    return PastRun(run_id, "c" * 40, False, "2026-01-02T03:04:05.000+00:00", seconds, numbers)


def test_one_failure_among_thousands_is_seen() -> None:
    """The parts of a bar fill it, from the worst down; a run without a test has none."""
    pages = {"runs/x.html": PageFacts("", "", False, ("known",), {})}
    first, second, third = bars(
        [past(passed=9999, failed=1, skipped=500), past(run_id="known", passed=1), past()], Site("", (), pages)
    )
    assert [(box.look, box.y, box.height) for box in first.boxes] == [("failed", 0, 4), ("passed", 4, HEIGHT - 4)]
    assert [(box.x, box.look, box.height) for box in second.boxes] == [(BAR, "passed", HEIGHT)]
    assert third.boxes == []
    assert (first.page, second.page) == ("", "runs/x.html")
    (all_failed,) = bars([past(failed=3, flaky=1)], Site("", (), {}))
    assert max(box.y + box.height for box in all_failed.boxes) <= HEIGHT


def test_a_run_is_said_in_one_line() -> None:
    """What a pointer over its bar says, and what all bars say to who does not see them."""
    assert about(past(passed=2, not_run=1)) == "2026-01-02 03:04, cccccccccccc: 2 passed, 1 not run; 1.50 s"
    assert about(past(None)) == "2026-01-02 03:04, cccccccccccc: no test; cut off"
    runs = [past(passed=1), past(failed=1), past(passed=1)]
    assert steady(runs) == "3 runs, 2 of them without a failure, 2 changes between red and green"


def test_a_line_has_zero_at_the_bottom() -> None:
    """Also of one value, of none, and of nothing but zeros."""
    assert line([1.0, 2.0, 0.0], 100, 10) == "0.0,5.0 50.0,0.0 100.0,10.0"
    assert line([2.0], 100, 10) == "0.0,0.0"
    assert line([], 100, 10) == ""
    assert line([0.0, 0.0], 100, 10) == "0.0,10.0 100.0,10.0"
    assert Timeline.of("local", []).decisive == ()
