"""A watch for people: on a terminal a table of the last look below the changes, elsewhere a line for each change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.text import Text

from envmatrix.report.console import make_console
from envmatrix.report.health.terminal import parts
from envmatrix.report.text import inert
from envmatrix.services.health import EnvironmentHealth

Show = Callable[[Sequence[EnvironmentHealth], Sequence[str]], None]


@contextmanager
def showing() -> Iterator[Show]:
    """Give what shows a look and the lines that it adds."""
    console = make_console()
    if not console.is_terminal:
        yield lambda _, lines: print(*(f"{inert(line)}\n" for line in lines), sep="", end="", flush=True)  # noqa: T201
        return
    with Live(console=console, auto_refresh=False) as live:

        def show(healths: Sequence[EnvironmentHealth], lines: Sequence[str]) -> None:
            for line in lines:
                console.print(Text(inert(line)))
            live.update(Group(*(part for each in healths for part in parts(each))), refresh=True)

        yield show
