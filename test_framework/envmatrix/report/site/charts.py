"""Where the shapes of a chart stand, in pixels. Pure; the templates draw them as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from envmatrix.history import Timeline
from envmatrix.history.timeline import PastRun
from envmatrix.report.site.facts import Site
from envmatrix.report.text import plural, seconds
from envmatrix.report.words import word
from envmatrix.runs.outcomes import Outcome

BAR, HEIGHT = 12, 64
"""Pixels: from one run to the next, and the height of the chart."""
_LEAST = 4
"""Pixels of one failure among ten thousand tests: it must be seen."""
_TICKS = 40
"""Runs that a strip of one test shows."""

_PARTS = (
    ("failed", (Outcome.FAILED, Outcome.NOT_RUN)),
    ("flaky", (Outcome.FLAKY, Outcome.XPASSED)),
    ("passed", (Outcome.PASSED,)),
)
"""From the top of a bar downwards. A skip says nothing about the product, and is no part."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; `look` is its class."""

    x: float
    y: float
    height: float
    look: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One run: its parts, what a pointer over it says, and the path of its page, if there is one."""

    x: float
    boxes: Sequence[Box]
    title: str
    page: str


def bars(runs: Sequence[PastRun], site: Site) -> Sequence[Bar]:
    """Return a bar for each run."""
    return [
        Bar(number * BAR, list(_boxes(run, number * BAR)), about(run), site.page_of(run.run_id))
        for number, run in enumerate(runs)
    ]


def about(run: PastRun) -> str:
    """Return a run in one line."""
    counts = ", ".join(f"{run.counts[each]} {word(each)}" for each in Outcome if run.counts.get(each))
    took = seconds(run.seconds) if run.seconds is not None else "cut off"
    return f"{run.started_at[:16].replace('T', ' ')}, {run.commit[:12]}: {counts or 'no test'}; {took}"


def _boxes(run: PastRun, x: float) -> Iterator[Box]:
    numbers = {look: sum(run.counts.get(each, 0) for each in outcomes) for look, outcomes in _PARTS}
    total = sum(numbers.values())
    y = 0.0
    for look, number in numbers.items():
        if number:
            height = HEIGHT - y if look == "passed" else max(_LEAST, round((HEIGHT - _LEAST) * number / total, 1))
            yield Box(x, y, min(height, HEIGHT - y), look)
            y += height


def line(values: Sequence[float], width: float, height: float) -> str:
    """Return the points of a line through values, zero at the bottom."""
    highest = max(values, default=0) or 1
    step = width / max(1, len(values) - 1)
    return " ".join(
        f"{number * step:.1f},{height - height * value / highest:.1f}" for number, value in enumerate(values)
    )


def ticks(timeline: Timeline, height: int) -> Sequence[Box]:
    """Return a tick for each of the last runs of a test: how high it stands tells failed from flaky and passed."""
    tall = {Outcome.FAILED: 1.0, Outcome.FLAKY: 0.7, Outcome.PASSED: 0.35}
    boxes = []
    for number, cell in enumerate(timeline.decisive[-_TICKS:]):
        tick = height * tall.get(cell.outcome, 0.35)
        look = cell.outcome.value if cell.outcome in tall else "other"
        boxes.append(Box(number * 6, height - tick, tick, look))
    return boxes


def steady(runs: Sequence[PastRun]) -> str:
    """Say in one line what the bars show, for who does not see them."""
    clean = sum(not run.counts.get(Outcome.FAILED) and not run.counts.get(Outcome.NOT_RUN) for run in runs)
    turns = sum(
        bool(before.counts.get(Outcome.FAILED)) != bool(after.counts.get(Outcome.FAILED))
        for before, after in pairwise(runs)
    )
    return f"{plural(len(runs), 'run')}, {clean} of them without a failure, {plural(turns, 'change')} between red and green"
