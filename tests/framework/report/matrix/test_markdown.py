"""The Markdown report."""

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from envmatrix.report.matrix.markdown import render
from tests.framework.report.samples import everything, hostile

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})


def tokens(text: str) -> list[Token]:
    """Every token of a page, inline ones too."""
    return [inner for token in MARKDOWN.parse(text) for inner in [token, *(token.children or [])]]


def test_the_matrix_is_a_table(tmp_path: Path) -> None:
    """Files in rows, environments in columns, the verdicts below."""
    lines = render(everything(tmp_path)).splitlines()
    assert lines[4] == "| tests | `auth` | `backend` | `local` | `staging (twin)` |"
    assert "| `tests/test_b.py` | · | · | ⏭️ 12 | no run |" in lines
    assert "| **verdict** | ✅ **compatible** | ❌ **incompatible** | ❌ **incompatible** | ❔ **unknown** |" in lines


def test_failures_skips_and_verdicts_follow(tmp_path: Path) -> None:
    """Each failing test with its causes, each reason once, each verdict with its reasons."""
    text = render(everything(tmp_path))
    assert (
        "- `tests/test_legacy.py::test_it`\n"
        "  - `backend`: ❌ failed **contract** `C102` `conftest.py:4: fixture 'real_services' lacks 'auth_url'`"
    ) in text
    assert "- `local`: 12 tests skipped: `redis is absent`\n" in text
    assert "- `local`: `stub: llm; absent: redis`\n" in text
    assert "- `staging (twin)`: ❔ **unknown**\n  - `pytest ended with exit code 4`\n" in text


@pytest.mark.fault("hostile-test-name")
def test_nothing_that_a_test_says_becomes_markup(tmp_path: Path) -> None:
    """No HTML, link, image, heading or emphasis comes from a test's texts, and no table row breaks."""
    text = render(hostile(tmp_path))
    assert text.replace("\n", "").isprintable()
    found = tokens(text)
    assert not [token for token in found if token.type.startswith(("html", "link", "image", "em_", "s_", "fence"))]
    assert {token.tag for token in found if token.type == "heading_open"} == {"h2", "h3"}
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    outside_code = [token.content for token in found if token.type == "text"]
    assert not [content for content in outside_code if re.search(r"script|owned|evil|someone|markup", content)]


def test_a_long_name_is_cut(tmp_path: Path) -> None:
    """A comment on GitHub has room for 65,536 characters; one name does not take them."""
    assert max(map(len, render(hostile(tmp_path)).splitlines())) < 20_000


def test_a_summary_is_cut_where_github_would_refuse_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step's summary of more than 1 MiB would be dropped whole: this one says that it is cut."""
    whole = render(everything(tmp_path))
    monkeypatch.setattr("envmatrix.report.markdown.MOST", len(whole.encode()) // 2)
    cut = render(everything(tmp_path / "again"))
    assert len(cut.encode()) < len(whole.encode())
    assert cut.endswith("**Cut here: a summary may hold 1 MiB. The run files have all.**\n")
