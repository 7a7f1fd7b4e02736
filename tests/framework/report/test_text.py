"""Text from tests, made harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envmatrix.gate import number_of_tests
from envmatrix.report.text import first_line, inert, middle, short_path
from tests.framework.report.samples import HOSTILE

anything = st.text(st.characters(exclude_categories=()))


@pytest.mark.fault("hostile-test-name")
@given(anything)
def test_inert_text_is_one_printable_line(text: str) -> None:
    """No control, format or surrogate character is left, and what was harmless stays as it was."""
    assert inert(text).isprintable()
    assert inert(inert(text)) == inert(text)


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tests/test_a.py::TestA::test_b[x-ä-✓]", "tests/test_a.py::TestA::test_b[x-ä-✓]"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\udc80", r"\udc80"),
        ("\u202eabc", r"\u202eabc"),
        ("\U000e0041", r"\U000e0041"),
        ("::error::x", r":\x3aerror::x"),
        ("a ::error file=x,line=1::x", r"a :\x3aerror file=x,line=1::x"),
        ("##[error]x", r"#\x23[error]x"),
    ],
)
def test_what_acts_is_shown_escaped(text: str, shown: str) -> None:
    """As Python would write it, so that it can be told and copied; an ordinary node id is untouched."""
    assert inert(text) == shown


@pytest.mark.fault("hostile-test-name")
@given(anything, st.integers(5, 40))
def test_cut_text_fits_and_keeps_both_ends(text: str, width: int) -> None:
    """Never longer than asked; what fits is not touched."""
    for cut in (middle(text, width), short_path(text, width)):
        assert len(cut) <= width
    if len(text) <= width:
        assert middle(text, width) == short_path(text, width) == text
    else:
        assert middle(text, width)[0] == text[0]
        assert middle(text, width)[-1] == text[-1]


def test_a_short_path_keeps_the_files_name() -> None:
    """Directories go first."""
    assert short_path("tests/framework/report/test_text.py", 20) == ".../test_text.py"
    assert short_path("tests/framework/report/test_text.py", 13) == "test_text.py"
    assert short_path("tests/test_a_very_long_name.py", 15) == "test_a...ame.py"


def test_the_first_line_is_the_first_that_says_something() -> None:
    """Blank lines say nothing, and no line is no error."""
    assert first_line("\n  \n  two\nthree") == "two"
    assert [first_line(text) for text in ("", "\n")] == ["", ""]


def test_one_test_is_singular() -> None:
    """Numbers are followed by the right word."""
    assert [number_of_tests(number) for number in (0, 1, 2)] == ["0 tests", "1 test", "2 tests"]


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_ci_log_obeys(text: str) -> None:
    """No line that starts anywhere in it is a workflow command."""
    shown = inert(text)
    for start in range(min(len(shown), 200)):
        assert not shown[start:].startswith(("::error::", "::set-output", "##["))
