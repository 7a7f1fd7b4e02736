"""Progress of a run: plain lines, lines that a CI service folds, and the live table."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.text import Text

from envmatrix.report import progress as progress_module
from envmatrix.report.progress import _draw, _Forecast, _News, progress
from envmatrix.runner.processes import Child, Job
from tests.framework.report.samples import HOSTILE

Clock = Callable[[float], None]


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets the time as progress sees it; it is 0 before."""
    now = [0.0]
    monkeypatch.setattr(progress_module, "time", SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0]))
    return lambda moment: now.__setitem__(0, moment)


def child(name: str = "local", *planned: str, ended: str = "", failures: dict[str, str] | None = None) -> Child:
    """A run in which the tests of some letters have ended, and those with failures failed."""
    job = Job(name, name, (), Path("run"), Path("log"), Path())
    run = Child(job, object())  # type: ignore[arg-type]  # no process is looked at
    run.planned = planned or None
    run.failures = failures or {}
    run.ended = {test: test in run.failures for test in (*ended, *run.failures)}
    return run


def test_a_log_gets_lines_for_start_failure_and_end(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    """Each once, however often the children are looked at; the failure with its reason."""
    run = child("local", "a", "b")
    with progress(quiet=False) as observe:
        observe([run])
        run.ended, run.failures = {"a": True}, {"a": "AssertionError: no\nmore"}
        observe([run])
        clock(29.0)
        observe([run])
        run.exit_code, run.seconds = 1, 29.04
        observe([run])
        observe([run])
    assert capsys.readouterr() == (
        "",
        "local: started\nlocal: a failed: AssertionError: no\nlocal: ended after 29.0 s, 1 test, 1 failed\n",
    )


def test_what_waits_is_told_once_and_stands_nowhere(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    """It is started when its turn comes; what never gets it only ends."""
    turn, never = child("local"), child("shop")
    process, turn.process, never.process = turn.process, None, None
    with progress(quiet=False) as observe:
        for moment in (0.0, 40.0):
            clock(moment)
            observe([turn, never])
        turn.process, never.exit_code = process, -15
        observe([turn, never])
    assert capsys.readouterr().err.splitlines() == [
        "local: waiting",
        "shop: waiting",
        "local: started",
        "shop: ended after 0.0 s, 0 tests",
        "local: 0/? after 0 s, collecting",
    ]


def test_a_long_run_says_where_it_stands_every_30_seconds(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    """In one line for all environments that still run: counts, time left, current test."""
    runs = [child("local", "a", "b", "c", "d", ended="a", failures={"b": ""}), child("shop")]
    over = child("auth", "a", ended="a")
    over.exit_code = 0
    with progress(quiet=False) as observe:
        for moment in (0.0, 20.0, 40.0, 60.0, 69.0, 80.0):
            clock(moment)
            for run in runs:
                run.seconds = moment
            observe([*runs, over])
    lines = [line for line in capsys.readouterr().err.splitlines() if " after " in line and "ended" not in line]
    assert lines == [
        "local: 2/4 after 40 s, 1 failed, 40 s left, now at c; shop: 0/? after 40 s, collecting",
        "local: 2/4 after 80 s, 1 failed, 80 s left, now at c; shop: 0/? after 80 s, collecting",
    ]


def test_failures_are_named_up_to_a_limit(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten of each environment, then one line that there are more."""
    run = child("local", failures={f"t{number}": "" for number in range(7)})
    with progress(quiet=False) as observe:
        observe([run])
        run.failures |= {f"t{number}": "" for number in range(40)}
        observe([run])
        observe([run])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12
    assert lines[-1] == "local: more tests failed: the report names them"


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_one_inert_line(capsys: pytest.CaptureFixture[str], text: str, clock: Clock) -> None:
    """As a test that failed, why it failed, the test that runs and the environment."""
    run = child(text, "a", f"{text}::x", "b", ended="a", failures={text: text})
    (news,) = _News().lines(run)
    assert news.isprintable()
    assert len(news) <= 200
    with progress(quiet=False) as observe:
        observe([run])
        clock(30.0)
        observe([run])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.isprintable()
        assert not line.startswith("::")
        assert "##[" not in line
    for width in (30, 200):
        (shown,) = drawn([run], width)
        assert "##[" not in shown


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("variable", "around"),
    [
        ("GITHUB_ACTIONS", "::group::envmatrix: progress\n{}::endgroup::\n"),
        (
            "GITLAB_CI",
            "\x1b[0Ksection_start:0:envmatrix_7\r\x1b[0Kenvmatrix: progress\n{}\x1b[0Ksection_end:0:envmatrix_7\r\x1b[0K\n",
        ),
    ],
)
def test_a_ci_service_can_fold_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, around: str
) -> None:
    """The lines stand in a group of their own, which is closed also after an error; what is quiet has none."""
    monkeypatch.setenv(variable, "true")
    monkeypatch.setattr("os.getpid", lambda: 7)
    with pytest.raises(AttributeError), progress(quiet=False) as observe:
        observe([child(), None])  # type: ignore[list-item]  # an error of ours
    assert capsys.readouterr().err == around.format("local: started\n")
    with progress(quiet=True):
        assert capsys.readouterr().err == ""


def test_time_left_goes_by_what_tests_usually_take() -> None:
    """At the speed of this run so far; a test that nobody knows counts as the mean of the others."""
    run = child("local", "a", "b", "c")
    forecast = _Forecast(lambda name: {"a": 1.0, "b": 3.0} if name == "local" else {})
    run.seconds = 2.0
    assert forecast.seconds_left(run) is None
    run.seconds, run.ended = 3.0, {"a": False}
    assert forecast.seconds_left(run) == pytest.approx(3 + 2)
    run.ended["b"] = False
    assert forecast.seconds_left(run) == pytest.approx(0.5)
    run.exit_code = 0
    assert forecast.seconds_left(run) is None


def drawn(children: list[Child], width: int) -> list[str]:
    """The live table as plain lines, none of them wider than the terminal."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, markup=False, emoji=False)
    console.print(_draw(children, width, _Forecast(lambda _: {})))
    assert isinstance(console.file, io.StringIO)
    lines = [Text.from_ansi(line).plain.rstrip() for line in console.file.getvalue().splitlines()]
    assert all(len(line) <= width and line.isprintable() for line in lines)
    return lines


def test_a_wide_terminal_has_the_bar_and_the_current_test() -> None:
    """Each environment in a line, whatever the width; those that have ended come last."""
    over, runs = child("auth", "a", ended="a"), child("local", "a", "b", "c", ended="a", failures={"b": ""})
    over.exit_code = 0
    wide = drawn([over, runs], 120)
    assert [line.split()[0] for line in wide] == ["local", "auth"]
    assert wide[0].split("  ")[-1] == "c"
    assert "━" in wide[0]
    assert wide[1].endswith("ended")
    assert drawn([over, runs], 80)[0].split() == ["local", "2/3", "1", "failed", "0", "s", "0", "s", "left", "c"]
    assert drawn([over, runs], 40)[0] == "local  2/3  1 failed  0 s  0 s left"
    assert len(drawn([child(f"environment_{number}") for number in range(15)], 30)) == 15
