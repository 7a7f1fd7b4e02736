"""Progress of a running matrix: a live line per environment on a terminal, elsewhere two plain lines for each."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from envmatrix.gate import number_of_tests
from envmatrix.report.text import inert

if TYPE_CHECKING:
    from rich.table import Table

    from envmatrix.runner.processes import Child

Observer = Callable[[Sequence["Child"]], None]

_REDRAW = 0.2
"""Seconds between two drawings, which take processor time from the tests."""

_BAR = 24
"""Characters of a progress bar."""


@contextmanager
def progress(*, quiet: bool) -> Iterator[Observer]:
    """Show progress on standard error, so that standard output holds the report alone."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _live() as observe:
            yield observe
    else:
        yield _Plain()


class _Plain:
    """Prints a line when an environment has to wait, when it starts, and when it ends."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._started: set[str] = set()
        self._ended: set[str] = set()

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
            if child.exit_code is not None and name not in self._ended:
                self._ended.add(name)
                failed = f", {child.failed} failed" if child.failed else ""
                self._say(
                    f"{child.job.label}: ended after {child.seconds:.1f} s, {number_of_tests(child.done)}{failed}"
                )

    @staticmethod
    def _say(line: str) -> None:
        print(inert(line), file=sys.stderr, flush=True)  # noqa: T201  progress is output


@contextmanager
def _live() -> Iterator[Observer]:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        drawn = 0.0

        def observe(children: Sequence[Child]) -> None:
            nonlocal drawn
            if time.monotonic() - drawn >= _REDRAW:
                drawn = time.monotonic()
                live.update(_draw(children), refresh=True)

        yield observe


def _draw(children: Sequence[Child]) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for child in children:
        total = child.planned
        bar = ProgressBar(total=total or None, completed=child.done, width=_BAR, pulse=total is None)
        style = "red" if child.failed else "green"
        table.add_row(
            Text(inert(child.job.label), "bold"),
            bar,
            Text(f"{child.done}/{'?' if total is None else total}", justify="right"),
            Text(f"{child.failed} failed" if child.failed else "", style),
            Text(child.state),
            Text(f"{child.seconds:.0f} s", "dim", justify="right"),
        )
    return table
