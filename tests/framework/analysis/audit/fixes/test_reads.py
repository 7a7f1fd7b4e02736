"""One read written the other way, in source of any kind; nothing else changes, and what is no plain read is refused."""

import ast
import warnings

import pytest

from envmatrix.analysis.audit.fixes.reads import rewrite_read
from envmatrix.analysis.source.facts import Read
from envmatrix.analysis.source.reads import reads_of
from envmatrix.analysis.source.word_lines import WordLines
from envmatrix.exceptions import CannotFixError


def reads(source: str) -> tuple[Read, ...]:
    """Return what the first function of a source reads of `it`."""
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(source)
    function = next(each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))
    return reads_of(function, frozenset({"it"}), WordLines(source.encode()))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def t(it): assert it.url", 'def t(it): assert it["url"]'),
        ("def t(it): assert it.url == 'x'", "def t(it): assert it['url'] == 'x'"),
        ("def t(it): assert it['url']", "def t(it): assert it.url"),
        ('def t(it): assert it[ "u" "rl" ]  # it["url"]', 'def t(it): assert it.url  # it["url"]'),
        ("def t(it): return it.url.upper()", 'def t(it): return it["url"].upper()'),
        ("def t(it): return 'é', '\U0001f600', it.url", "def t(it): return 'é', '\U0001f600', it['url']"),
        (
            "A = 1\n\f\nB = '\x85'\r\ndef t(it):\r\n    it.url\r\n",
            "A = 1\n\f\nB = '\x85'\r\ndef t(it):\r\n    it['url']\r\n",
        ),
        ('def t(it): return f"{it.url}/x"', "def t(it): return f\"{it['url']}/x\""),
        ("def t(it): return 'a', 'b', f\"{it.url}\"", "def t(it): return 'a', 'b', f\"{it['url']}\""),
        ('def t(it): return "a", "b", f\'{it.url}\'', 'def t(it): return "a", "b", f\'{it["url"]}\''),
        ("def t(it): return '\\d', it.url", "def t(it): return '\\d', it['url']"),
    ],
)
def test_a_plain_read_is_written_the_other_way(before: str, after: str) -> None:
    """In the quotes that the file has, whatever characters and ends of lines stand before it."""
    (read,) = reads(before)
    assert rewrite_read(before, read) == after


@pytest.mark.parametrize(
    "source",
    [
        "def t(it): return it['back-end']",
        "def t(it): return it['class']",
        "def t(it): return it['ﬁle']",
        "class T:\n    def t(self, it): return it['__url']",
        "def t(it): return (it\n    .url)",
        "def t(it):\n    other = it\n    return other.url",
        "def t(it): return it.get('url')",
    ],
)
def test_what_would_be_another_program_is_refused(source: str) -> None:
    """A key that is no name or another one, a read over several lines, by another name, or with something to fall back on."""
    (read,) = reads(source)
    with pytest.raises(CannotFixError, match="by hand"):
        rewrite_read(source, read)
