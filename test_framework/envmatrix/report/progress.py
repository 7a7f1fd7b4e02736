"""Progress of a running matrix: a live line per environment on a terminal, elsewhere plain lines that a CI log can keep."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from envmatrix.gate import number_of_tests
from envmatrix.report.text import first_line, inert, middle

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from envmatrix.runner.processes import Child

Observer = Callable[[Sequence["Child"]], None]
Durations = Callable[[str], Mapping[str, float]]
"""Environment → the usual seconds of its tests, as far as they are known."""

_REDRAW = 0.2
"""Seconds between two drawings, which take processor time from the tests."""

_EVERY = 30.0
"""Seconds between two lines of a long run in a log."""

_NAMED = 10
"""Failures of one environment to name as they come; the report has all."""

_LONGEST = 200
"""Characters of a line about a failure."""

_BAR = 24
"""Characters of a progress bar."""

_WITH_BAR, _WITH_TEST = 110, 60
"""Columns of a terminal from which on there is room for the bar, and for the current test."""


@contextmanager
def progress(*, quiet: bool, durations: Durations = lambda _: {}) -> Iterator[Observer]:
    """Show progress on standard error, so that standard output holds the report alone."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _live(_Forecast(durations)) as observe:
            yield observe
    else:
        with _folded("envmatrix: progress"):
            yield _Plain(_Forecast(durations))


@contextmanager
def _folded(title: str) -> Iterator[None]:
    """Let the log of a CI service that can fold lines fold those that follow."""
    if os.environ.get("GITHUB_ACTIONS"):
        begin, end = f"::group::{title}", "::endgroup::"
    elif os.environ.get("GITLAB_CI"):  # https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
        name = f"envmatrix_{os.getpid()}"
        begin = f"\x1b[0Ksection_start:{time.time():.0f}:{name}\r\x1b[0K{title}"
        end = f"\x1b[0Ksection_end:{time.time():.0f}:{name}\r\x1b[0K"
    else:
        yield
        return
    print(begin, file=sys.stderr, flush=True)  # noqa: T201  progress is output
    try:
        yield
    finally:
        print(end, file=sys.stderr, flush=True)  # noqa: T201  progress is output


class _Forecast:
    """Tells how long each environment still takes: by the usual durations of its tests, or else by their number."""

    def __init__(self, durations: Durations) -> None:
        self._durations = durations
        self._began: dict[str, float] = {}
        self._weights: dict[str, Mapping[str, float]] = {}

    def watch(self, child: Child) -> None:
        """Note when its tests began: to be called at each look, since what came before the first call is not counted."""
        name = child.job.environment
        if child.planned is None or child.state != "running" or name in self._began:
            return
        self._began[name] = child.seconds
        known = self._durations(name)
        other = sum(known.values()) / len(known) if known else 1.0
        self._weights[name] = {test: known.get(test, other) for test in child.planned}

    def seconds_left(self, child: Child) -> float | None:
        """Return the seconds until its last test ends; `None` where nothing tells."""
        self.watch(child)
        name = child.job.environment
        if name not in self._began or child.state != "running":
            return None
        weights = self._weights[name]
        done = sum(weights.get(test, 0.0) for test in child.ended)
        left = sum(weight for test, weight in weights.items() if test not in child.ended)
        return (child.seconds - self._began[name]) / done * left if done else None


class _News:
    """Names failures as they come."""

    def __init__(self) -> None:
        self._named: dict[str, int] = {}

    def lines(self, child: Child) -> Iterator[str]:
        """Yield a line for each failure that has come since the last call, as far as there is room for it."""
        name = child.job.environment
        named = self._named.setdefault(name, 0)
        self._named[name] = len(child.failures)
        for number, (test, why) in enumerate(child.failures.items()):
            if named <= number < _NAMED:
                yield middle(inert(f"{child.job.label}: {test} failed: {first_line(why)}"), _LONGEST)
        if named <= _NAMED < len(child.failures):
            yield inert(f"{child.job.label}: more tests failed: the report names them")


class _Plain:
    """Prints a line when an environment waits, starts, ends, and for each failure; in a long run also where it stands."""

    def __init__(self, forecast: _Forecast) -> None:
        self._forecast = forecast
        self._news = _News()
        self._waiting: set[str] = set()
        self._started: set[str] = set()
        self._ended: set[str] = set()
        self._last = time.monotonic()

    def __call__(self, children: Sequence[Child]) -> None:
        for child in children:
            name = child.job.environment
            if child.state == "waiting":
                if name not in self._waiting:
                    self._waiting.add(name)
                    self._say(f"{child.job.label}: waiting")
            elif name not in self._started and child.process is not None:
                self._started.add(name)
                self._say(f"{child.job.label}: started")
            self._forecast.watch(child)
            for line in self._news.lines(child):
                self._say(line)
            if child.exit_code is not None and name not in self._ended:
                self._ended.add(name)
                failed = f", {child.failed} failed" if child.failed else ""
                self._say(
                    f"{child.job.label}: ended after {child.seconds:.1f} s, {number_of_tests(child.done)}{failed}"
                )
        running = [child for child in children if child.exit_code is None and child.process is not None]
        if running and time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            self._say("; ".join(map(self._standing, running)))

    def _standing(self, child: Child) -> str:
        """Return where an environment stands: `local: 3/9 after 30 s, 2 failed, 1 min left, now at test_a.py::test_b`."""
        failed = f"{child.failed} failed" if child.failed else ""
        now = f"now at {middle(child.current, _LONGEST // 2)}" if child.current else child.state
        standing = f"{child.job.label}: {_done(child)} after {_span(child.seconds)}"
        return ", ".join(filter(None, (standing, failed, _left(self._forecast.seconds_left(child)), now)))

    @staticmethod
    def _say(line: str) -> None:
        print(inert(line), file=sys.stderr, flush=True)  # noqa: T201  progress is output


@contextmanager
def _live(forecast: _Forecast) -> Iterator[Observer]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    news = _News()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        drawn = 0.0

        def observe(children: Sequence[Child]) -> None:
            nonlocal drawn
            if time.monotonic() - drawn >= _REDRAW:
                drawn = time.monotonic()
                for line in (line for child in children for line in news.lines(child)):
                    console.print(Text(line, "red"))
                live.update(_draw(children, console.width, forecast), refresh=True)

        yield observe


def _draw(children: Sequence[Child], width: int, forecast: _Forecast) -> Table:
    """Return a row for each environment, those that run first; what there is no room for is left out."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0), expand=width >= _WITH_TEST)
    for child in sorted(children, key=lambda child: child.exit_code is not None):
        total = len(child.planned) if child.planned is not None else None
        failed = Text(f"{child.failed} failed" if child.failed else "", "red")
        row: list[RenderableType] = [Text(inert(child.job.label), "bold"), Text(_done(child), justify="right"), failed]
        if width >= _WITH_BAR:
            row.insert(1, ProgressBar(total=total or None, completed=child.done, width=_BAR, pulse=total is None))
        row += [Text(_span(child.seconds), "dim", justify="right"), Text(_left(forecast.seconds_left(child)), "dim")]
        if width >= _WITH_TEST:
            row.append(Text(inert(child.current) if child.state == "running" else child.state))
        if not table.columns:
            for number in range(len(row)):
                is_last = number == len(row) - 1 and width >= _WITH_TEST
                table.add_column(no_wrap=True, ratio=1 if is_last else None)
        table.add_row(*row)
    return table


def _done(child: Child) -> str:
    return f"{child.done}/{'?' if child.planned is None else len(child.planned)}"


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f"{_span(seconds)} left"


def _span(seconds: float) -> str:
    """Return a duration as exactly as one wants to know it of something that still runs: `40 s`, `12 min`."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"  # noqa: PLR2004  as people count
