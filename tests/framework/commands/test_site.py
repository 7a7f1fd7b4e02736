"""`envmatrix site`, as a user types it and a browser reads it."""

import html.parser
import re
import resource
import shutil
import subprocess
import sys
import urllib.parse
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from envmatrix.history import remember
from envmatrix.runs.cells import Run
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.commands.shop import Shop, shop
from tests.framework.report.samples import HOSTILE
from tests.framework.run_files import write_run

__all__ = ["shop"]

CHROMIUM = shutil.which("chromium")
ONE = "test_a.py::test_one"
WRONG = Evidence("L401", "AssertionError: assert 1 == 2", "call", "test_a.py:3")


class Page(html.parser.HTMLParser):
    """The tags and texts of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.text += data

    @property
    def links(self) -> list[str]:
        """Where it leads."""
        return [attributes["href"] or "" for tag, attributes in self.tags if tag == "a"]


def ran(shop: Shop, number: int, *attempts: Attempt, environment: str = "local", **more: object) -> Run:
    """Keep a run in a directory of its own, and remember it."""
    directory = shop.root / ".envmatrix/runs" / f"2026010{number}"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{environment}.jsonl"
    run_id = f"{number}-{environment}"
    write_run(path, *(attempts or (Attempt(ONE, Outcome.PASSED, 1.0),)), environment=environment, run_id=run_id, **more)
    path.write_text(path.read_text().replace("2026-01-02T", f"2026-01-0{number}T"))
    from envmatrix.runs.file import read_run

    run = read_run(path)
    assert remember(shop.history, [run]) == ""
    return run


def pages(directory: Path) -> dict[str, Page]:
    """The pages of a site, by their paths, without those of matrices: these are the HTML report, which has its own tests."""
    paths = (path.relative_to(directory).as_posix() for path in sorted(directory.rglob("*.html")))
    return {path: Page(directory / path) for path in paths if not path.startswith("runs/")}


def test_every_page_is_reached_by_relative_links(shop: Shop) -> None:
    """From the index, and back; the worst environment comes first."""
    for number in range(1, 4):
        ran(shop, number)
        ran(
            shop,
            number,
            Attempt(ONE, Outcome.FAILED, 1.0, cause=Cause.LOGIC, evidence=WRONG),
            *([Attempt(ONE, Outcome.PASSED, 1.0)] if number < 3 else []),
            environment="staging+slow",
        )
    code, out, err = shop.call("site", "public")
    assert (code, out, err) == (0, "", "public/index.html: 2 environments, 3 new pages of runs\n")
    site = pages(shop.root / "public")
    assert len(site) == 1 + 2
    for name, page in site.items():
        for link in page.links:
            path = urllib.parse.unquote(link.partition("#")[0])
            assert (shop.root / "public" / name).parent.joinpath(path).resolve().is_file()
    index = site["index.html"]
    reports = sorted((shop.root / "public/runs").glob("*.html"))
    assert set(index.links) >= {*site, *(f"runs/{path.name}" for path in reports)} - {"index.html"}
    assert [path.name[:8] for path in reports] == ["20260101", "20260102", "20260103"]
    assert all('<script type="application/gzip" id="grid">' in path.read_text() for path in reports)
    assert index.text.index("staging+slow") < index.text.index("local")
    assert "1 test failed: the product or the test is wrong" in index.text
    assert "100 %3" in index.text  # three runs: it passed when tried again twice, and failed at the same commit
    assert sorted(path.name for path in (shop.root / "public/badges").glob("*.svg")) == [
        "local.svg",
        "staging+slow.svg",
    ]
    assert len([tag for tag, _ in site["environments/local.html"].tags if tag == "rect"]) == 3


def test_pages_of_matrices_are_written_once(shop: Shop) -> None:
    """Also after their run files are gone; one whose files are younger is written anew, and a run cut off is shown."""
    ran(shop, 1)
    shop.call("site", "public")
    (page,) = (shop.root / "public/runs").glob("*.html")
    page.write_text("untouched")
    ran(shop, 2, end=None)
    assert "1 new pages" in shop.call("site", "public")[2]
    assert page.read_text() == "untouched"
    shutil.rmtree(shop.root / ".envmatrix/runs/20260101")
    assert "0 new pages" in shop.call("site", "public")[2]
    index = Page(shop.root / "public/index.html")
    assert f"runs/{page.name}" in index.links
    assert "no footer" in index.text or "unknown" in index.text


def test_a_site_is_made_of_parquet_too(shop: Shop) -> None:
    """Of a pipeline that has nothing but these, and the directory of its own run; the same but for the time."""
    run = ran(shop, 1)
    ran(shop, 2, Attempt(ONE, Outcome.SKIPPED, reason="x"), end=None)
    assert shop.call("history", "export", "runs")[0] == 0
    assert run.file is not None
    here = str(run.file.parent)
    assert shop.call("site", "one", here)[0] == 0
    shop.history.unlink()
    assert shop.call("site", "two", here, "--from", "runs")[0] == 0
    one, two = (
        {name: re.sub("Made .*", "", page.source) for name, page in pages(shop.root / name).items()}
        for name in ("one", "two")
    )
    assert one == two
    assert shop.call("site", "three")[0] == 3


@pytest.mark.fault("hostile-test-name")
@pytest.mark.fault("canary-secret")
def test_hostile_texts_are_only_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing becomes a tag, a script or a command, and no secret of this process is written."""
    monkeypatch.setenv("SHOP_TOKEN", "canary-5f1c")
    attempts = [
        Attempt(
            f"{name}::{number}",
            Outcome.FAILED,
            2.0,
            cause=Cause.LOGIC,
            evidence=Evidence("L401", f"{name} canary-5f1c"),
        )
        for number, name in enumerate(HOSTILE)
    ]
    more = [each for attempt in attempts for each in (attempt, Attempt(attempt.test, Outcome.PASSED, 1.0))]
    ran(shop, 1, *more, Attempt("the canary-5f1c", Outcome.PASSED, 9.0), label="<b>" + HOSTILE[1])
    ran(shop, 2, *attempts, label="<b>" + HOSTILE[1])
    assert shop.call("site", "public")[0] == 0
    tags = {tag for page in pages(shop.root / "public").values() for tag, _ in page.tags}
    assert not tags & {"script", "img", "b", "iframe", "link", "form"}
    for page in pages(shop.root / "public").values():
        assert page.source.isprintable() or set(page.source) - {"\n"} == {c for c in page.source if c.isprintable()}
        assert "canary-5f1c" not in page.source
        assert not re.search(r'\son\w+="|\sstyle="', page.source)
        assert len(page.source) < 100_000
    assert [
        path
        for path in (shop.root / "public").rglob("*")
        if b"canary-5f1c" in ((path.is_file() and path.read_bytes()) or b"")
    ] == []


def test_nothing_but_our_style_is_allowed(shop: Shop) -> None:
    """By the page's own policy: no script, no image, nothing loaded."""
    ran(shop, 1)
    shop.call("site", "public")
    for page in pages(shop.root / "public").values():
        (policy,) = (a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
        style = re.search("<style>(.*?)</style>", page.source, re.DOTALL)
        assert style is not None
        digest = b64encode(sha256(style[1].encode()).digest()).decode()
        assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@pytest.mark.fault("name-as-path")
def test_an_environment_of_another_history_is_no_path(shop: Shop) -> None:
    """Parquet of somebody else may name one by anything."""
    import duckdb

    ran(shop, 1)
    shop.call("history", "export", "runs")
    (path,) = (shop.root / "runs").rglob("*.parquet")
    duckdb.sql(
        "COPY (SELECT * REPLACE ('../../up' AS environment,"
        f' replace(events, \'"environment":"local"\', \'"environment":"../../up"\') AS events) FROM \'{path}\')'
        f" TO '{shop.root}/x.parquet'"
    )
    before = sorted(shop.root.iterdir())
    code, _, err = shop.call("site", "deep/er/public", "--from", "*.parquet")
    assert code == 3
    assert err.startswith("error: history *.parquet names an environment '../../up', which is no name")
    assert [path for path in shop.root.iterdir() if path not in before] == [shop.root / "deep"]
    assert [path.name for path in (shop.root / "deep").rglob("*") if "up" in path.name] == []


@pytest.mark.fault("disk-full")
def test_a_full_disk_keeps_the_last_good_site(shop: Shop) -> None:
    """Each file is whole: the new one, or the one before."""
    ran(shop, 1)
    shop.call("site", "public")
    before = (shop.root / "public/index.html").read_bytes()
    ran(shop, 2)
    shop.call("history", "export", "runs")
    program = (
        "import resource; from envmatrix.__main__ import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, {resource.RLIM_INFINITY}))\nmain(['site', 'public', '--from', 'runs'])"
    )
    ended = subprocess.run(
        [sys.executable, "-B", "-c", program], capture_output=True, text=True, cwd=shop.root, check=False
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert (shop.root / "public/index.html").read_bytes() == before
    assert [path.name for path in (shop.root / "public").rglob(".*")] == []


def test_a_missing_extra_is_named(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    from envmatrix.report.site import pages as module

    ran(shop, 1)
    module._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    code, _, err = shop.call("site", "public")
    module._environment.cache_clear()
    assert (code, err) == (2, "error: 'jinja2' is not installed. Install it with: pip install 'envmatrix[site]'\n")


def test_what_cannot_be_shown_is_a_warning(shop: Shop) -> None:
    """A directory without a run file, a damaged record of a page; the rest is made."""
    ran(shop, 1)
    (shop.root / ".envmatrix/runs/empty").mkdir()
    shop.call("site", "public")
    (facts,) = (shop.root / "public/runs").glob("*.json")
    facts.write_text("{")
    code, _, err = shop.call("site", "public")
    assert code == 0
    first, second, _ = err.splitlines()
    assert first.startswith("warning: ")
    assert first.endswith("empty: holds no run file")
    assert second == f"warning: public/runs/{facts.name} is damaged, and left out"


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
def test_a_browser_has_no_complaint(shop: Shop) -> None:
    """On a narrow screen, light and dark: nothing for axe, nothing on the console, no request, no overflow. A browser is slow."""
    for number in range(1, 9):
        flaky = [Attempt(ONE, Outcome.FAILED, 1.0, cause=Cause.LOGIC, evidence=WRONG)] if number % 2 else []
        ran(shop, number, *flaky, Attempt(ONE, Outcome.PASSED, 1.0), Attempt("x" * 2000, Outcome.PASSED, 1.0))
    shop.call("site", "public")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            tab = browser.new_page(color_scheme=scheme, viewport={"width": 360, "height": 700})  # type: ignore[arg-type]
            complaints: list[str] = []
            tab.on("console", lambda message, said=complaints: said.append(message.text))
            tab.on(
                "request", lambda sent, said=complaints: None if sent.url.startswith("file:") else said.append(sent.url)
            )
            for name in pages(shop.root / "public"):
                tab.goto((shop.root / "public" / name).as_uri())
                assert tab.evaluate("document.documentElement.scrollWidth") == 360
                results = Axe().run(tab)
                assert results.violations_count == 0, results.generate_report()
            assert complaints == []
        browser.close()
