"""The HTML report of 10,000 tests in five environments, against the same cells as a plain table that jinja2 makes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.browser import DEADLINE, browser, has_browser, open_page, seconds_until_useful
from benchmarks.page_data import TESTS, judged, plain_table, write_runs
from benchmarks.rows import Row, in_turns
from envmatrix.environments import Project
from envmatrix.report.page.html import render
from envmatrix.report.page.source import PageSource

_ROUNDS = 3
_MEGABYTE = 1e6
_QUERY = """
query => new Promise(done => {
  const box = document.querySelector("input[type=search]");
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(box, query);
  const began = performance.now();
  box.dispatchEvent(new Event("input", {bubbles: true}));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})
"""
"""Milliseconds from a change of the query to the frame that shows the answer."""

_SCROLL = """
async () => {
  const box = document.querySelector("#cells"), frames = [];
  const scrolled = [box, ...(function* up(node) { while ((node = node.parentElement)) yield node; })(box)]
    .find(node => node.scrollHeight > node.clientHeight + 100) ?? document.scrollingElement;
  let last = performance.now();
  for (let step = 0; step < 120; step++) {
    scrolled.scrollTop += 900;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return Math.max(...frames.slice(2));
}
"""
"""Milliseconds of the longest frame while 120 screens go by."""


def measure() -> Iterable[Row]:
    """Make both from the same runs, and open both where there is a browser."""
    with TemporaryDirectory(prefix="envmatrix-bench-") as directory:
        root = Path(directory)
        report = judged(write_runs(root))
        source = partial(PageSource, report, Project.find(Path.cwd()), datetime(2026, 1, 2, tzinfo=UTC))
        pages = {"ours": root / "matrix.html", "table": root / "table.html"}
        make = {
            "ours": lambda: pages["ours"].write_text(render(source()), encoding="utf-8"),
            "table": lambda: pages["table"].write_text("".join(plain_table(report)), encoding="utf-8"),
        }
        medians = in_turns(_ROUNDS, {name: partial(_cpu_seconds, action) for name, action in make.items()})
        cells = f"{TESTS:,} tests x 5"
        yield Row(
            f"page: made, {cells}",
            medians["ours"],
            "a plain table by jinja2",
            medians["table"],
            "s cpu",
            "at most 0.5 x",
            _ROUNDS,
        )
        sizes = {name: path.stat().st_size / _MEGABYTE for name, path in pages.items()}
        yield Row(f"page: size, {cells}", sizes["ours"], "the table", sizes["table"], "MB", "at most 5 MB")
        yield from _in_a_browser(pages, cells)


def _in_a_browser(pages: Mapping[str, Path], cells: str) -> Iterator[Row]:
    if not has_browser():
        sys.stderr.write("no Chromium or no playwright: nothing is opened\n")
        return
    with browser() as opened:
        useful = in_turns(_ROUNDS, {name: partial(seconds_until_useful, opened, path) for name, path in pages.items()})
        yield Row(
            f"page: useful, {cells}",
            useful["ours"],
            "the table",
            useful["table"],
            goal="at most 0.15 x",
            samples=_ROUNDS,
        )
        tab = open_page(opened, pages["ours"], "#matrix?fold=none")
        tab.wait_for_selector("input[type=search]", timeout=DEADLINE)
        queries = (
            "failed",
            "failed cause:logic",
            "differs",
            "local:passed staging:failed",
            "orders",
            "count(failed) > 1",
        )
        times = {query: median(tab.evaluate(_QUERY, query) for _ in range(3)) for query in queries}
        yield Row("page: slowest query", max(times.values()), "100 ms", 100, "ms", "at most 1 x", len(times))
        tab.evaluate(_QUERY, "")
        yield Row("page: longest frame of scrolling", tab.evaluate(_SCROLL), "50 ms", 50, "ms", "at most 1 x", 120)


def _cpu_seconds(action: object) -> float:
    began = time.process_time()
    action()  # type: ignore[operator]
    return time.process_time() - began
