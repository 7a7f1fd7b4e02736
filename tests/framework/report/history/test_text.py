"""What tests did over time, on a terminal and as JSON."""

import json

import pytest

from envmatrix.history import PastCell, Timeline
from envmatrix.report.history import json_, text
from envmatrix.report.history.answers import Overview, TestHistory
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.samples import HOSTILE


def entry(
    minute: int, outcome: Outcome, *, duration: float = 0.5, test: str = "a.py::x", summary: str = ""
) -> PastCell:
    """One run of the test, at a commit of its own."""
    failed = outcome is Outcome.FAILED
    return PastCell(
        test=test,
        environment="staging",
        label="staging (twin)",
        commit=f"{minute:x}" * 40,
        dirty=outcome is Outcome.SKIPPED,
        started_at=f"2026-01-02T03:{minute:02}:05.000+00:00",
        run_id=f"{minute}",
        outcome=outcome,
        cause=Cause.LOGIC if failed else None,
        rule="L401" if failed else "",
        summary=summary or ("AssertionError\nmore" if failed else ""),
        duration=duration,
        attempts=1,
    )


ENTRIES = (
    entry(1, Outcome.PASSED, test="a.py::old"),
    entry(2, Outcome.FAILED, test="a.py::old"),
    entry(3, Outcome.FAILED),
    entry(4, Outcome.SKIPPED),
)


def test_a_timeline_says_since_when_and_how_steadily() -> None:
    """The newest run first, each with its commit, its end, its duration, why, and the name of its time."""
    assert text.render(TestHistory("a.py::x", [Timeline.of("staging", ENTRIES)], 10)) == (
        "a.py::x\n"
        "\n"
        "staging  4 runs, 33% passed, 0% flaky, takes 500 ms\n"
        "  fails since 222222222222, passed last at 111111111111\n"
        "  2026-01-02 03:04  444444444444 (dirty)  skipped  500 ms\n"
        "  2026-01-02 03:03  333333333333          failed   500 ms  logic L401: AssertionError\n"
        "  2026-01-02 03:02  222222222222          failed   500 ms  logic L401: AssertionError  as a.py::old\n"
        "  2026-01-02 03:01  111111111111          passed   500 ms  as a.py::old\n"
    )


def test_only_as_many_runs_are_shown_as_asked_for() -> None:
    """The rates are of all."""
    shown = text.render(TestHistory("a.py::x", [Timeline.of("staging", ENTRIES)], 1))
    assert "and 3 earlier" in shown
    assert "33% passed" in shown
    (staging,) = json.loads(json_.render(TestHistory("a.py::x", [Timeline.of("staging", ENTRIES)], 1)))["environments"]
    assert (staging["runs"], len(staging["entries"])) == (4, 1)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (ENTRIES[1:2], "never passed at any commit"),
        (ENTRIES[:1], "  passed last at 111111111111\n"),
        (ENTRIES[3:], "1 run, none of which says something about the product\n"),
        ([entry(1, Outcome.PASSED)] * 5 + [entry(2, Outcome.PASSED, duration=1.0)] * 5, "takes 1.00 s, 100% slower"),
        ([entry(1, Outcome.PASSED)] * 5 + [entry(2, Outcome.PASSED, duration=0.25)] * 5, "takes 250 ms, 50% faster"),
        ([entry(1, Outcome.PASSED)] * 10, "takes 500 ms\n"),
        ([], "was not run there"),
    ],
)
def test_what_is_known_is_said(entries: list[PastCell], said: str) -> None:
    """And nothing else."""
    assert said in text.render(TestHistory("a.py::x", [Timeline.of("staging", entries)] if entries else [], 10))


def test_json_says_the_same() -> None:
    """What is not known is null."""
    document = json.loads(json_.render(TestHistory("a.py::x", [Timeline.of("staging", ENTRIES)], 10)))
    (staging,) = document["environments"]
    assert (staging["name"], staging["last_good"], staging["first_bad"]) == ("staging", "1" * 40, "2" * 40)
    assert (staging["pass_rate"], staging["flake_rate"]) == (pytest.approx(1 / 3), 0.0)
    assert (staging["duration"], staging["trend"]) == (0.5, None)
    newest, *_, oldest = staging["entries"]
    assert (newest["outcome"], newest["dirty"], newest["cause"]) == ("skipped", True, None)
    assert (oldest["test"], oldest["label"], oldest["run_id"]) == ("a.py::old", "staging (twin)", "1")


def test_the_overview_names_the_flakiest_and_the_slowest() -> None:
    """With the environment: a test may be flaky in one only."""
    timeline = Timeline.of("staging", [entry(1, Outcome.FLAKY), entry(2, Outcome.PASSED)])
    overview = Overview([("a.py::x", timeline)], [("local", "a.py::y", 61.0)])
    assert text.render(overview) == (
        "Flakiest\n  50% of 2 runs  staging  a.py::x\n\nSlowest\n  61.00 s  local  a.py::y\n"
    )
    document = json.loads(json_.render(overview))
    assert document["flakiest"] == [{"test": "a.py::x", "environment": "staging", "pass_rate": 1.0, "flake_rate": 0.5}]
    assert document["slowest"] == [{"test": "a.py::y", "environment": "local", "duration": 61.0}]
    assert text.render(Overview([], [])) == ("Flakiest\n  no test was flaky\n\nSlowest\n  no test has passed\n")


@pytest.mark.fault("hostile-test-name")
def test_hostile_names_are_inert() -> None:
    """In a name or a reason."""
    for name in HOSTILE:
        timelines = [Timeline.of(name, [entry(1, Outcome.FAILED, test=name, summary=name)])]
        history = TestHistory(name, timelines, 10)
        shown = text.render(history) + text.render(Overview([(name, timelines[0])], [(name, name, 1.0)]))
        assert all(line.isprintable() for line in shown.splitlines())
        assert "::error::" not in shown
        assert "##[" not in shown
        assert json_.render(history).isascii()
