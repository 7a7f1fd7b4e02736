"""The blanks in a declaration."""

from hypothesis import given
from hypothesis import strategies as st

from envmatrix.environments.references import (
    fill,
    map_text,
    references_in,
    substitute,
    texts_in,
    variables_in,
)


def test_variables_and_references_do_not_mix() -> None:
    """`${X}` is a variable, `{x.y}` a field, `{x}` a global; one never reads as another."""
    text = "${HOST}:{db.port} {python} ${PORT:-80} { not } {}"
    assert list(variables_in(text)) == ["HOST"]
    assert list(references_in(text)) == [("db", "port"), ("python", "")]


def test_what_is_unset_stays() -> None:
    """Without a value and without a default the text keeps its blank, for whoever reports it."""
    assert substitute("${A} ${B:-b} ${C:-c} {d.e}", {"C": "see"}) == "${A} b see {d.e}"


def test_a_default_stands_in_for_the_empty_too() -> None:
    """`${A:-b}` means what it means in a shell; without a default, set to nothing is nothing."""
    assert substitute("${A:-b} ${A:-} ${A}.", {"A": ""}) == "b  ."


def test_a_value_is_not_filled_in_again() -> None:
    """A variable's value that looks like a blank is just text: no second pass reads it."""
    assert substitute("${A}", {"A": "${B}", "B": "no"}) == "${B}"
    assert fill("{a.url}", lambda name, field: f"{{{name}.{field}}}") == "{a.url}"


def test_json_in_a_command_is_left_alone() -> None:
    """Braces that are no reference stay."""
    text = '{"a": {"b": 1}} {0} {a b}'
    assert list(references_in(text)) == []
    assert fill(text, lambda *_: "x") == text


def test_every_text_is_reached_at_any_depth() -> None:
    """Tables and lists are walked; numbers and booleans stay what they are."""
    value = {"a": ["x", {"b": "y"}], "c": 3, "d": True}
    assert map_text(value, str.upper) == {"a": ["X", {"b": "Y"}], "c": 3, "d": True}
    assert list(texts_in(value)) == [(("a",), "x"), (("a", "1", "b"), "y")]


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_any_text_can_be_filled_in(text: str, variables: dict[str, str]) -> None:
    """No text makes the functions fail; one without a dollar or a brace stays as it is."""
    filled = substitute(text, variables)
    assert filled == text or "$" in text
    assert fill(text, lambda *_: "x") == text or "{" in text
