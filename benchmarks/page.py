"""The HTML report of 10,000 tests in five environments, against the same cells as a plain table that jinja2 makes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.page_data import ENVIRONMENTS, TESTS, judged, plain_table, write_runs
from benchmarks.rows import Row, in_turns
from envmatrix.environments import Project
from envmatrix.report.page.html import render
from envmatrix.report.page.source import PageSource

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_ROUNDS = 3
_MEGABYTE = 1e6
_DEADLINE = 120_000
"""Milliseconds for a page to open, on a busy machine."""

_USEFUL = """
const look = () => {
  const useful = document.readyState !== "loading" && document.querySelector("main h1, table tbody tr:last-child");
  if (useful) window.useful ??= performance.now(); else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
"""Notes when what a reader came for is on the screen: our first view, or all rows of a table."""

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


def measure_peers() -> Iterable[Row]:
    """Hold it against pytest-html, which makes a page for each environment; where that is installed."""
    if find_spec("pytest_html") is None:
        raise SystemExit("pytest-html is not installed: pip install pytest-html")
    with TemporaryDirectory(prefix="envmatrix-bench-") as directory:
        root = Path(directory)
        report = judged(write_runs(root))
        source = PageSource(report, Project.find(Path.cwd()), datetime(2026, 1, 2, tzinfo=UTC))
        pages = {"ours": root / "matrix.html", "table": _pytest_html(root)}
        pages["ours"].write_text(render(source), encoding="utf-8")
        ours, theirs = (pages[name].stat().st_size / _MEGABYTE for name in ("ours", "table"))
        peer = f"pytest-html, {len(ENVIRONMENTS)} pages"
        yield Row("page: size, of 5 environments", ours, peer, len(ENVIRONMENTS) * theirs, "MB", "at most 0.2 x")
        with _browser() as browser:
            useful = in_turns(1, {name: partial(_useful, browser, path) for name, path in pages.items()})
        yield Row(
            "page: useful, of 5 environments",
            useful["ours"],
            "pytest-html, of one",
            useful["table"],
            goal="at most 0.2 x",
        )


def _in_a_browser(pages: Mapping[str, Path], cells: str) -> Iterator[Row]:
    if shutil.which("chromium") is None or find_spec("playwright") is None:
        sys.stderr.write("no Chromium or no playwright: nothing is opened\n")
        return
    with _browser() as browser:
        useful = in_turns(_ROUNDS, {name: partial(_useful, browser, path) for name, path in pages.items()})
        yield Row(
            f"page: useful, {cells}",
            useful["ours"],
            "the table",
            useful["table"],
            goal="at most 0.15 x",
            samples=_ROUNDS,
        )
        tab = _open(browser, pages["ours"], "#matrix?fold=none")
        tab.wait_for_selector("input[type=search]", timeout=_DEADLINE)
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


@contextmanager
def _browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def _open(browser: Browser, path: Path, fragment: str = "") -> Page:
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    tab.add_init_script(_USEFUL)
    tab.goto(f"{path.as_uri()}{fragment}", wait_until="commit", timeout=_DEADLINE)
    return tab


def _useful(browser: Browser, path: Path) -> float:
    """Return the seconds from the navigation until what a reader came for is on the screen."""
    tab = _open(browser, path)
    while (moment := tab.evaluate("window.useful ?? 0")) == 0:  # what waits for a function would evaluate text
        tab.wait_for_timeout(20)
    tab.close()
    return float(moment) / 1000


def _cpu_seconds(action: object) -> float:
    began = time.process_time()
    action()  # type: ignore[operator]
    return time.process_time() - began


def _pytest_html(root: Path) -> Path:
    """Run as many tests as pytest-html reports, 3 of 100 failed and 5 skipped, and return its one file."""
    (root / "test_many.py").write_text(
        f"import pytest\n\n@pytest.mark.parametrize('number', range({TESTS}))\ndef test_many(number):\n"
        "    if number % 20 == 0:\n        pytest.skip('requires redis, which is absent here')\n"
        "    assert number % 33 != 1, 'connection refused'\n",
        encoding="utf-8",
    )
    page = root / "pytest.html"
    words = ("-q", "-p", "no:cacheprovider", "-p", "no:envmatrix", f"--html={page}", "--self-contained-html")
    subprocess.run([sys.executable, "-m", "pytest", *words, str(root)], stdout=subprocess.DEVNULL, check=False)  # noqa: S603
    return page
