"""A headless Chromium, and how long it takes until a page is of use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DEADLINE = 120_000
"""Milliseconds for a page to open, on a busy machine."""

_USEFUL = """
const look = () => {
  const useful = document.readyState !== "loading" && document.querySelector(
    "main h1, table tbody tr:last-child, [data-testid=tree-leaf]");
  if (useful) window.useful ??= performance.now(); else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
"""Notes when what a reader came for is on the screen: our first view, all rows of a table, or the tests in an Allure report."""


def has_browser() -> bool:
    """Return whether there is a Chromium, and what drives it."""
    return shutil.which("chromium") is not None and find_spec("playwright") is not None


@contextmanager
def browser() -> Iterator[Browser]:
    """Start it, and end it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


def open_page(opened: Browser, path: Path, fragment: str = "") -> Page:
    """Begin to open a file in a tab of its own."""
    tab = opened.new_page(viewport={"width": 1400, "height": 900})
    tab.add_init_script(_USEFUL)
    tab.goto(f"{path.as_uri()}{fragment}", wait_until="commit", timeout=DEADLINE)
    return tab


def seconds_until_useful(opened: Browser, path: Path) -> float:
    """Return the seconds from the navigation until what a reader came for is on the screen."""
    tab = open_page(opened, path)
    while (moment := tab.evaluate("window.useful ?? 0")) == 0:  # what waits for a function would evaluate text
        tab.wait_for_timeout(20)
    tab.close()
    return float(moment) / 1000
