"""Text in Markdown."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from envmatrix.report.markdown import block, code

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})


@pytest.mark.fault("hostile-test-name")
@given(st.text(st.characters(exclude_categories=())) | st.text("` a\\<*_"))
def test_a_code_span_holds_any_text(text: str) -> None:
    """Whatever stands in it, Markdown sees one code span and nothing else."""
    (_, inline, _) = MARKDOWN.parse(f"x{code(text)}y")
    assert inline.children is not None
    assert [token.type for token in inline.children] == ["text", "code_inline", "text"]


@pytest.mark.fault("hostile-test-name")
@given(st.text(st.characters(exclude_categories=())) | st.text("`~\n a<"))
@example("a\n```\n<b>````")
def test_a_code_block_holds_any_text(text: str) -> None:
    """Whatever stands in it, Markdown sees one code block, and goes on behind it."""
    before, _, _, fence, *after = MARKDOWN.parse("\n".join(["x", *block(text), "y"]))
    assert (before.type, fence.type, [token.type for token in after]) == (
        *("paragraph_open", "fence", ["paragraph_open", "inline", "paragraph_close"]),
    )
