"""The page of the HTML report in a real browser: Debian's Chromium, from disk."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from envmatrix.matrix.table import Matrix
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.page.sample_page import FAILED, FILES, NAMES, page
from tests.framework.report.page.test_html import rendered
from tests.framework.report.samples import judged
from tests.framework.run_files import write_run

CHROMIUM = shutil.which("chromium")
VIEWS = ("overview", "matrix", f"matrix?test={FILES[0]}::{FAILED}&in=staging", "time", "compare")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield one browser for all tests here."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page on disk, as it comes from CI."""
    path = tmp_path_factory.mktemp("page") / "matrix.html"
    path.write_text(page(), encoding="utf-8")
    return path


class Opened:
    """The page in a tab, and what went wrong in it."""

    def __init__(self, tab: Page, file: Path) -> None:
        self.tab = tab
        self.address = file.as_uri()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))

    def go(self, fragment: str) -> Page:
        """Open a view by its link, as from another document."""
        self.tab.goto("about:blank")
        self.tab.goto(f"{self.address}#{fragment}")
        expect(self.tab.locator("main")).to_be_visible()
        return self.tab


@pytest.fixture
def opened(browser: Browser, file: Path) -> Iterator[Opened]:
    """Yield the page in a fresh tab; nothing may go wrong in it, and no request may leave it."""
    context = browser.new_context(viewport={"width": 1200, "height": 700})
    context.set_default_timeout(5_000)
    opened = Opened(context.new_page(), file)
    yield opened
    assert opened.complaints == []
    assert {url.partition(":")[0] for url in opened.requests} <= {"file", "data", "about"}
    context.close()


def focused(tab: Page) -> str:
    """Return the words of the cell that the keyboard is on."""
    return str(
        tab.locator("#cells").evaluate("cells => document.getElementById(cells.ariaActiveDescendantElement?.id)?.id")
    )


def test_the_first_view_says_what_is_broken_whose_fault_it_is_and_what_to_do(opened: Opened) -> None:
    """Without a click: the environment, the cause, the next step."""
    tab = opened.go("")
    expect(tab.get_by_role("heading", level=1)).to_have_text("staging (twin) is incompatible")
    problem = tab.locator(".problem")
    expect(problem).to_contain_text("redis is down")
    expect(problem).to_contain_text("look at the named service first")
    expect(tab.get_by_role("heading", name="infrastructure")).to_be_in_viewport()


def test_the_name_of_a_rule_opens_what_it_means(opened: Opened) -> None:
    """On top of the page, from the overview and beside an open cell, which Escape leaves open."""
    tab = opened.go(f"matrix?test={FILES[0]}::{FAILED}&in=staging")
    meaning = tab.get_by_text("A look right after the test saw it down.")
    expect(meaning).to_be_hidden()
    tab.get_by_role("complementary").get_by_role("button", name="I301").click()
    expect(meaning).to_be_visible()
    tab.keyboard.press("Escape")
    expect(meaning).to_be_hidden()
    expect(tab.get_by_role("complementary")).to_be_visible()
    tab.get_by_role("link", name="Overview").click()
    tab.get_by_role("button", name="I301").click()
    expect(meaning).to_be_visible()


def test_of_many_problems_the_first_are_shown_and_the_rest_on_demand(browser: Browser, tmp_path: Path) -> None:
    """A page of thousands of cards would open slowly."""
    failed = [
        Attempt(f"a.py::t{n}", Outcome.FAILED, cause=Cause.LOGIC, evidence=Evidence("L401", f"assert {n} == x"))
        for n in range(13)
    ]
    matrix = Matrix.from_runs([write_run(tmp_path / "local.jsonl", *failed)])
    (tmp_path / "matrix.html").write_text(rendered(judged(matrix), tmp_path))
    tab = browser.new_page()
    tab.goto((tmp_path / "matrix.html").as_uri())
    expect(tab.locator(".problem")).to_have_count(10)
    tab.get_by_role("button", name="3 more").click()
    expect(tab.locator(".problem")).to_have_count(13)
    tab.close()


def test_a_failure_is_followed_from_the_verdict_to_the_ping_that_proves_it(opened: Opened) -> None:
    """Two clicks: the cause of an environment, then the cell."""
    tab = opened.go("overview")
    tab.locator(".verdict", has_text="staging").get_by_role("link", name="infrastructure").click()
    expect(tab.locator("#query-result")).to_have_text(f"1 of {len(NAMES)} tests")
    tab.locator(".cell", has=tab.locator(".failed")).last.click()
    panel = tab.get_by_role("complementary")
    expect(panel).to_contain_text("down: connection refused")
    expect(panel).to_contain_text("Look at redis first.")
    expect(panel.get_by_text("envmatrix run staging -- ", exact=False)).to_be_visible()


def test_a_query_selects_and_a_wrong_one_says_where_it_is_wrong(opened: Opened) -> None:
    """Chips write into the query; the error marks the place, and all tests stay."""
    tab = opened.go("matrix")
    box = tab.get_by_role("searchbox", name="Query")
    tab.get_by_role("button", name="failed", exact=True).click()
    expect(box).to_have_value("failed")
    expect(tab.locator("#query-result")).to_have_text(f"1 of {len(NAMES)} tests")
    box.fill("failed cause:logik")
    expect(tab.locator("#query-result mark")).to_have_text("logik")
    expect(tab.locator("#query-result")).to_contain_text("logic")


def test_the_keyboard_alone_reaches_a_cell_and_comes_back(opened: Opened) -> None:
    """Slash, a query, Enter into the cells, arrows, Enter into the panel, Escape back to the cells."""
    tab = opened.go("matrix")
    tab.keyboard.press("/")
    tab.keyboard.type("failed")
    tab.keyboard.press("Enter")
    assert focused(tab) == "cell-0-1"
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowRight")
    assert focused(tab) == "cell-1-2"
    tab.keyboard.press("Enter")
    panel = tab.get_by_role("complementary")
    expect(panel.get_by_role("heading", level=2)).to_be_focused()
    tab.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    assert focused(tab) == "cell-1-2"
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("ArrowLeft")
    expect(tab.locator(".row.group").first).to_have_attribute("aria-expanded", "false")


def test_a_link_opens_the_same_view_and_the_back_button_goes_through_the_views(opened: Opened) -> None:
    """The fragment holds query, order, folds and the open cell."""
    start = f"{opened.address}#matrix?q=test_1&rows=slowest"
    tab = opened.go("matrix?q=test_1&rows=slowest")
    first = tab.locator(".row .name").nth(4)  # behind the heads of the columns
    expect(first).to_have_attribute("title", f"{FILES[0]}::test_19")
    tab.get_by_role("searchbox").fill("test_19")  # typing is no step back
    tab.get_by_role("searchbox").fill("test_1")
    tab.locator(".row .cell").first.click()
    expect(tab.get_by_role("complementary")).to_be_visible()
    link = tab.url
    tab.get_by_role("link", name="Time").click()
    expect(tab).to_have_url(re.compile("#time"))
    tab.go_back()
    expect(tab).to_have_url(link)
    expect(tab.get_by_role("complementary").get_by_role("heading", level=2)).to_have_text(f"{FILES[0]}::test_19")
    tab.go_back()
    expect(tab).to_have_url(start)
    expect(tab.get_by_role("complementary")).to_have_count(0)
    tab.goto(link)
    expect(tab.get_by_role("complementary").get_by_role("heading", level=2)).to_have_text(f"{FILES[0]}::test_19")


def test_the_switch_of_colours_is_stronger_than_the_system_and_is_remembered(opened: Opened) -> None:
    """System, light, dark, and the same at the next visit."""
    opened.tab.emulate_media(color_scheme="light")
    tab = opened.go("overview")
    switch = tab.get_by_role("button", name="colours: change")
    switch.click()
    switch.click()
    expect(tab.locator("body")).to_have_css("background-color", "rgb(21, 24, 28)")
    expect(opened.go("overview").locator("body")).to_have_css("background-color", "rgb(21, 24, 28)")


def test_far_rows_are_drawn_when_they_are_scrolled_to(opened: Opened) -> None:
    """Only what is in view is in the document, whatever the number of tests."""
    tab = opened.go("matrix?fold=none")
    assert tab.locator(".row").count() < 60
    tab.locator("#cells").focus()
    tab.keyboard.press("Control+End")
    expect(tab.get_by_text("test_agent_39", exact=True)).to_be_in_viewport()


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("view", VIEWS[:3])
def test_a_hostile_text_is_text(opened: Opened, view: str) -> None:
    """No markup comes of it, no control character, no turned writing direction."""
    tab = opened.go(view)
    expect(tab.get_by_text("<img src=x onerror=alert(1)>\\u001b[31m\\u202eexe.gnp").first).to_be_visible()
    assert tab.locator("img").count() == 0
    text = tab.locator("body").inner_text()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@pytest.mark.parametrize(("scheme", "rules"), [("light", {}), ("dark", {"runOnly": ["color-contrast"]})])
def test_axe_finds_nothing(opened: Opened, scheme: Literal["light", "dark"], rules: dict[str, list[str]]) -> None:
    """Names, roles, order and contrast of every view; in the dark no more than contrast can be another."""
    opened.tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    reports = {view: Axe().run(opened.go(view), options=rules) for view in VIEWS}
    assert [(view, each.generate_report()) for view, each in reports.items() if each.violations_count] == []


def test_a_narrow_screen_scrolls_in_one_direction_only(opened: Opened) -> None:
    """At 360 pixels nothing but the tables is wider than the screen."""
    opened.tab.set_viewport_size({"width": 360, "height": 640})
    for view in VIEWS:
        assert opened.go(view).evaluate("document.documentElement.scrollWidth") == 360


def test_the_explanation_is_copied_as_markdown(opened: Opened) -> None:
    """The button copies all of it, the command with it."""
    opened.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab = opened.go(VIEWS[2])
    tab.get_by_role("button", name="Copy as Markdown").click()
    expect(tab.get_by_role("button", name="copied")).to_be_visible()
    text = tab.evaluate("navigator.clipboard.readText()")
    assert "Look at redis first." in text
    assert f"envmatrix run staging -- {FILES[0]}::{FAILED}" in text


def test_the_page_lets_nothing_in_and_nothing_out(opened: Opened) -> None:
    """Its policy allows the one script and the one style sheet that it holds, and no request."""
    tab = opened.go("overview")
    policy = tab.locator("meta[http-equiv]").get_attribute("content") or ""
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert tab.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"
    opened.complaints.clear()  # the browser tells of the refusal
