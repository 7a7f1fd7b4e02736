"""Which of pytest's arguments take the next word, and which choose tests."""

import pytest

from envmatrix.runner.pytest_options import PYTEST_OPTIONS, chooses_tests, takes_next_word


@pytest.mark.parametrize("word", ["-k", "-p", "--deselect", "--lfnf", "--an-option-of-some-plugin"])
def test_an_option_with_a_value_takes_the_next_word(word: str) -> None:
    """So may any long option that is not known."""
    assert takes_next_word(word)


@pytest.mark.parametrize("word", ["-x", "-kfast", "--lf", "--last-failed", "--deselect=a", "--unknown=value", "suite"])
def test_a_flag_or_an_attached_value_takes_no_word(word: str) -> None:
    """A path may stand after it."""
    assert not takes_next_word(word)


@pytest.mark.parametrize(
    "word", ["-k", "-kfast", "-m", "--deselect=a", "--ignore-glob", "--last-failed", "--co", "--sw"]
)
def test_an_option_that_chooses_tests_is_known_in_each_spelling(word: str) -> None:
    """With its value attached or not."""
    assert chooses_tests(word)


@pytest.mark.parametrize("word", ["-x", "-q", "--color=no", "--confcutdir=a", "-n2", "suite/test_a.py", "-"])
def test_what_only_resembles_such_an_option_chooses_nothing(word: str) -> None:
    """`--color` begins like `--co`."""
    assert not chooses_tests(word)


def test_pytest_takes_every_option_as_the_table_says(pytester: pytest.Pytester) -> None:
    """Its own parser knows each name, with a value or without, by the name that we read."""
    parser = pytester.parseconfig()._parser
    parsed = {name: action for action in parser.optparser._actions for name in action.option_strings}
    for option in PYTEST_OPTIONS:
        for name in option.names:
            if name in parsed:
                assert (parsed[name].nargs != 0) is option.has_value, name
                assert not option.narrows or parsed[name].dest in {option.narrows, "stepwise_skip"}, name
    assert {name for option in PYTEST_OPTIONS for name in option.names} - parsed.keys() <= {"-n"}  # xdist may be off
