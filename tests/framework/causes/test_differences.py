"""Where two values differ, in pytest's own explanations of assertions."""

import pytest

from envmatrix.causes.differences import difference

LIST = """assert [1, 2, 3] == [1, 5, 3]

  At index 1 diff: 2 != 5
  Use -v to get more diff"""
DICT = """assert {'a': 1, 'b': 2} == {'a': 1, 'b': 3}

  Omitting 1 identical items, use -vv to show
  Differing items:
  {'b': 2} != {'b': 3}"""
TEXT = """assert 'the cat sat' == 'the cat sits'

  - the cat sits
  ?          ^^
  + the cat sat
  ?          ^"""
CALL = """assert 404 == 200
 +  where 404 = <Response [404 Not Found]>.status_code"""
WORDS = """the order is lost
assert 19 == 20"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LIST, ["At index 1 diff: 2 != 5"]),
        (DICT, ["Differing items: {'b': 2} != {'b': 3}"]),
        (TEXT, ["- the cat sits + the cat sat"]),
        (CALL, ["where 404 = <Response [404 Not Found]>.status_code"]),
        (WORDS, ["assert 19 == 20"]),
        ("assert 1 == 2", []),
        ("the order is lost\nand found", []),
    ],
    ids=["list", "dict", "text", "call", "words of the test's own", "one line", "no assertion"],
)
def test_the_first_line_that_tells_is_taken(text: str, told: list[str]) -> None:
    """Not the line of the assertion itself, which pytest cuts in the middle."""
    assert list(difference(text)) == told


def test_a_line_is_bounded() -> None:
    """However large the values are."""
    (line,) = difference(f"assert 1 == 2\n  At index 0 diff: {'x' * 10_000}")
    assert len(line) == 160
