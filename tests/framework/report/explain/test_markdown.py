"""An explanation as Markdown."""

from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from envmatrix.environments import Project
from envmatrix.report.explain.explanation import Explanation, explain
from envmatrix.report.explain.markdown import render
from tests.framework.report.samples import everything, hostile

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})


def explanation(tmp_path: Path) -> Explanation:
    """What is known of a test that failed once."""
    matrix = everything(tmp_path / "runs").matrix
    column = next(column for column in matrix.columns if column.label == "local")
    return explain(matrix, column, "tests/test_a.py::test_three", Project(root=tmp_path))


def headings(page: str) -> list[str]:
    """The titles of the sections."""
    tokens = MARKDOWN.parse(page)
    return [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"][1:]


def test_the_next_step_comes_first(tmp_path: Path) -> None:
    """Then the command, then the evidence, the most telling first."""
    assert headings(render(explanation(tmp_path), 10_000)) == [
        *("What to do next", "Run exactly this again", "Where", "The rule that decided", "Attempts")
    ]


def test_what_has_no_room_is_left_out_and_counted(tmp_path: Path) -> None:
    """A page is never cut within a section."""
    known = replace(explanation(tmp_path), detail="line\n" * 1000, exceptions=["one", "two"])
    page = render(known, 1500)
    assert len(page) <= 1500
    assert "The failure" not in headings(page)
    assert "Exceptions, outermost first" in headings(page)
    assert page.endswith("sections. `envmatrix explain --json` has them.\n")


@pytest.mark.fault("hostile-test-name")
def test_nothing_that_a_test_says_becomes_markup(tmp_path: Path) -> None:
    """Whatever it is called or says."""
    matrix = hostile(tmp_path).matrix
    column = next(column for column in matrix.columns if column.environment == "local")
    for test in column.cells:
        page = render(explain(matrix, column, test, Project(root=tmp_path)), 50_000)
        assert page.replace("\n", "").replace("\t", "").isprintable()
        tokens = [inner for token in MARKDOWN.parse(page) for inner in [token, *(token.children or [])]]
        assert not [token for token in tokens if token.type.startswith(("html", "link", "image", "em_", "s_"))]
