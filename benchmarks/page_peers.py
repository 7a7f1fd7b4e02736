"""The HTML report against those of pytest-html and Allure, of the same results."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.browser import browser, has_browser, seconds_until_useful
from benchmarks.page_data import ENVIRONMENTS, judged, write_runs
from benchmarks.rows import Row, in_turns
from envmatrix.environments import Project
from envmatrix.report.matrix import junit
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.report.page.html import render
from envmatrix.report.page.source import PageSource
from envmatrix.runs.cells import Cell

_MEGABYTE = 1e6
_GOAL = "at most 0.2 x"

_REPLAY = """
import json, pathlib, pytest

RESULTS = json.loads(pathlib.Path(__file__).with_name("results.json").read_text())

@pytest.mark.parametrize("outcome, text", RESULTS.values(), ids=RESULTS)
def test(outcome, text):
    if outcome == "skipped":
        pytest.skip(text)
    if outcome == "failed":
        pytest.fail(text, pytrace=False)
"""
"""Tests that end as those of a run did."""

_SETTINGS = """
export default { name: "matrix", plugins: { awesome: { options: { singleFile: true } } } };
"""
"""Allure's: one file that opens from disk, as ours does."""


class NotMeasured(Exception):  # noqa: N818  nothing is wrong
    """A peer cannot be installed here."""


def measure() -> Iterable[Row]:
    """Make each peer's page, and open it where there is a browser."""
    with TemporaryDirectory(prefix="envmatrix-bench-") as directory:
        root = Path(directory)
        report = judged(write_runs(root))
        ours = root / "matrix.html"
        source = PageSource(report, Project.find(Path.cwd()), datetime(2026, 1, 2, tzinfo=UTC))
        ours.write_text(render(source), encoding="utf-8")
        number = len(ENVIRONMENTS)
        yield from _rows(ours, f"pytest-html, {number} pages", partial(_pytest_html, report, root), pages=number)
        yield from _rows(ours, "Allure, 1 page", partial(_allure, report, root))


def _rows(ours: Path, name: str, make: Callable[[], Path], pages: int = 1) -> Iterator[Row]:
    """Yield sizes, and how long it takes to open ours and one page of the peer."""
    try:
        theirs = make()
    except NotMeasured as error:
        sys.stderr.write(f"not measured: {name}: {error}\n")
        return
    sizes = [path.stat().st_size / _MEGABYTE for path in (ours, theirs)]
    yield Row("page: size, of 5 environments", sizes[0], name, sizes[1] * pages, "MB", _GOAL)
    if not has_browser():
        sys.stderr.write("no Chromium or no playwright: nothing is opened\n")
        return
    with browser() as opened:
        times = in_turns(
            1,
            {
                "ours": partial(seconds_until_useful, opened, ours),
                "theirs": partial(seconds_until_useful, opened, theirs),
            },
        )
    one = f"{name}, the first" if pages > 1 else name
    yield Row("page: useful, of 5 environments", times["ours"], one, times["theirs"], goal=_GOAL)


def _pytest_html(report: JudgedMatrix, root: Path) -> Path:
    """Return its page of one environment; it has no other way to tell environments apart."""
    if find_spec("pytest_html") is None:
        raise NotMeasured("it is not installed: pip install pytest-html")
    cells = report.matrix.columns[0].cells.values()
    (root / "results.json").write_text(json.dumps({cell.test: (cell.outcome, _text(cell)) for cell in cells}))
    (root / "test_replay.py").write_text(_REPLAY, encoding="utf-8")
    page = root / "pytest.html"
    words = ("-q", "-p", "no:cacheprovider", "-p", "no:envmatrix", f"--html={page}", "--self-contained-html")
    subprocess.run([sys.executable, "-m", "pytest", *words, str(root)], stdout=subprocess.DEVNULL, check=False)  # noqa: S603
    return page


def _text(cell: Cell) -> str:
    """Return what a cell says, in one text."""
    if cell.evidence is None:
        return cell.reason
    return "\n".join((cell.evidence.detail, *cell.evidence.exchanges, *cell.evidence.logs.values()))


def _allure(report: JudgedMatrix, root: Path) -> Path:
    """Return its page, made from our JUnit files, installed into the same temporary directory."""
    npm = shutil.which("npm")
    if npm is None:
        raise NotMeasured("npm is not installed")
    results = root / "junit"
    results.mkdir()
    for name, text in junit.render(report).items():
        (results / f"{name}.xml").write_text(text, encoding="utf-8")
    (root / "settings.mjs").write_text(_SETTINGS, encoding="utf-8")
    install = [npm, "install", "--prefix", str(root), "--no-audit", "--no-fund", "allure@3"]
    if subprocess.run(install, capture_output=True, check=False).returncode:  # noqa: S603
        raise NotMeasured("npm install allure@3 failed")
    tool, words = (
        root / "node_modules/.bin/allure",
        ("generate", "junit", "--config", "settings.mjs", "--output", "allure"),
    )
    subprocess.run([tool, *words], cwd=root, capture_output=True, check=True)  # noqa: S603
    return root / "allure/index.html"
