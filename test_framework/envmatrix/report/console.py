"""Draw reports for the terminal that standard output is, or for a pipe or a CI log."""

from __future__ import annotations

import os
import sys

from rich.console import Console, RenderableType
from rich.padding import Padding

from envmatrix.report.text import inert, middle

PIPE_WIDTH = 120
"""Columns of a report in a pipe or a CI log."""

LONGEST = 300
"""Characters of a name or a summary; the JSON formats have all."""


def make_console() -> Console:
    """Return a console for standard output; in a pipe it is 120 columns wide unless COLUMNS is set."""
    terminal = sys.stdout.isatty()
    width = None if terminal or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(width=width, force_terminal=terminal, highlight=False, markup=False, emoji=False)


def printed(report: RenderableType, console: Console | None = None) -> str:
    """Return a report as the console shows it, without blanks at the ends of lines."""
    console = console or make_console()
    with console.capture() as capture:
        console.print(report)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def indented(line: RenderableType, columns: int = 2) -> Padding:
    """Return a line, and what it folds into, moved to the right."""
    return Padding(line, (0, 0, 0, columns))


def short(text: str) -> str:
    """Return text as one inert line of at most `LONGEST` characters."""
    return middle(inert(text), LONGEST)
