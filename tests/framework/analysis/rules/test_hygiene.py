"""EM3xx on trees that are read and never run."""

from pathlib import Path

import pytest

from test_framework.analysis.rules.hygiene import RULES, findings
from test_framework.analysis.rules.rule import Rule
from tests.framework.analysis.rules.pages import PARTS, Page


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_the_page_of_a_rule_says_what_it_finds(tmp_path: Path, rule: Rule) -> None:
    """The bad example is found just as the page shows it; the good one is not."""
    page = Page.of(rule.code, tmp_path, findings)
    assert page.title == f"{rule.code}: {rule.name}"
    assert page.parts == PARTS
    assert page.bad == page.shown
    assert page.good == ""
