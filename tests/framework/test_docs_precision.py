"""The page about precision is what the judged samples say, and a rule that is seldom right is off by default."""

from __future__ import annotations

import pytest

from envmatrix.analysis.audit.rules.catalog import ALL
from tests.precision.samples import LEAST, PAGE, Sample, draw, judged, page, precision, read

SAMPLES = read()


def test_the_page_is_made_of_the_samples() -> None:
    """`nox -s precision` writes both."""
    assert PAGE.read_text(encoding="utf-8") == page(SAMPLES)


def test_every_sample_is_judged_with_the_reason() -> None:
    """None waits, and none is of a rule that there is no more."""
    assert SAMPLES
    assert [each.finding for each in SAMPLES if each.is_right is None or not each.why] == []
    assert {each.rule for each in SAMPLES} <= {rule.code for rule in ALL}


@pytest.mark.parametrize("rule", [rule for rule in ALL if not rule.is_opt_in], ids=lambda rule: rule.code)
def test_a_rule_that_is_on_by_default_is_mostly_right(rule) -> None:
    """Of its judged samples, if there are any."""
    assert precision(each for each in SAMPLES if each.rule == rule.code) >= LEAST


def test_what_is_drawn_stays_while_it_is_found() -> None:
    """Of each package in turn, and with its judgement; what is found no more is followed by what was not drawn before."""
    found = [Sample("EM101", package, f"a.py:{line}", "m", "s") for package in "ab" for line in range(40)]
    first = list(draw(found))
    assert [each.package for each in first] in (["a", "b"] * 10, ["b", "a"] * 10)
    known = [Sample(*each.finding, "s", is_right=True, why="w") for each in first]
    second = judged(draw([each for each in found if each != first[0]]), known)
    assert [each.is_right for each in second].count(None) == 1
    assert len(second) == len(first) == 20
