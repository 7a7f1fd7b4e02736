"""The comment on a pull request, as a Markdown renderer reads it that is not ours."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from envmatrix.matrix.table import Matrix, Selection
from envmatrix.report.matrix.comment import render
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.samples import SHAPES, everything, hostile, incomplete, judged, passed
from tests.framework.run_files import write_run

GITHUB = 65_536
"""Characters of a comment that GitHub takes."""

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})


class Elements(HTMLParser):
    """What a browser is told, and whether every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: dict[str, int] = {}
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open one."""
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.attributes += attrs
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the last one."""
        assert tag == "br" or self.open.pop() == tag


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_a_table_and_parts_that_unfold(tmp_path: Path, shape: str) -> None:
    """Nothing that a test says becomes markup, and each part is closed where it ends."""
    text = render(SHAPES[shape](tmp_path))
    assert len(text) <= GITHUB
    assert text.replace("\n", "").isprintable()
    page = Elements(MARKDOWN.render(text))
    assert page.open == []
    assert page.seen.keys() <= {
        *(
            "h2",
            "p",
            "code",
            "strong",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "details",
            "summary",
            "ul",
            "li",
            "br",
        )
    }
    assert page.seen["details"] == page.seen["summary"] == text.count("\n<details>")
    assert page.seen["table"] == 2
    assert page.attributes == []


def test_the_verdicts_are_read_at_a_glance(tmp_path: Path) -> None:
    """Before anything that unfolds: the answer, and each environment's with the first reason."""
    above, _, below = render(everything(tmp_path)).partition("<details>")
    assert above.startswith("## ❌ Compatibility matrix: incompatible\n")
    assert "| `staging (twin)` | ❔ **unknown** | no run | `pytest ended with exit code 4` |  |\n" in above
    assert "| `auth` | ✅ **compatible** | ✅ 1 |  | `absent: redis` |\n" in above
    assert "tests/test_legacy.py::test_it" not in above
    assert "<summary>Not passed everywhere: 5 tests</summary>" in below
    assert "`conftest.py:4: fixture 'real_services' lacks 'auth_url'`" in below


def test_what_passed_has_no_problems_to_unfold(tmp_path: Path) -> None:
    """One line an environment, and the files."""
    text = render(passed(tmp_path))
    assert text.startswith("## ✅ Compatibility matrix: compatible\n")
    assert text.count("<details>") == 1
    assert render(incomplete(tmp_path / "killed")).startswith("## ❔ Compatibility matrix: unknown\n")


def test_it_is_cut_where_github_would_refuse_it(tmp_path: Path) -> None:
    """Two thousand problems: what is left says that it is cut, and every part is whole."""
    attempts = [
        Attempt(
            f"a_{n}.py::x", Outcome.FAILED, cause=Cause.LOGIC, evidence=Evidence("L401", f"word-{'z' * (n % 97)}-{n}é")
        )
        for n in range(2000)
    ]
    runs = [write_run(tmp_path / f"{name}.jsonl", *attempts, environment=name) for name in ("a", "b", "c")]
    text = render(judged(Matrix.from_runs(runs)))
    assert 50_000 < len(text.encode()) <= GITHUB
    assert "**Cut here: a comment may hold 65,536 characters." in text
    assert Elements(MARKDOWN.render(text)).open == []


def test_hundreds_of_environments_are_counted(tmp_path: Path) -> None:
    """The first are named."""
    text = render(passed(tmp_path, 40))
    assert "\nand 10 environments more\n" in text
    assert len(re.findall(r"^\| `environment-\d+` \|", text, re.MULTILINE)) == 30


def test_a_query_is_named(tmp_path: Path) -> None:
    """Where not all tests are told of, the comment says so before its table."""
    matrix, verdicts = everything(tmp_path)
    text = render(JudgedMatrix(replace(matrix, selection=Selection("failed", 99)), verdicts))
    assert "\n`19 of 99 tests, each verdict is of all; selected by: failed`\n\n| environment |" in text


@pytest.mark.fault("hostile-test-name")
def test_a_name_closes_no_part(tmp_path: Path) -> None:
    """A test that is called `</details>` is text."""
    assert "&lt;/details&gt;" in MARKDOWN.render(render(hostile(tmp_path)))
