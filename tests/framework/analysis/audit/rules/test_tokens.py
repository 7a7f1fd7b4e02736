"""EM302 on trees that are read and never run; the tokens are made up, and put together here."""

import sys
from pathlib import Path

import pytest

from envmatrix.analysis.audit.audit import audit
from envmatrix.analysis.audit.baseline import AuditBaseline
from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.survey import Survey
from envmatrix.analysis.audit.rules.tokens import findings
from envmatrix.analysis.audit.selection import RuleSelection
from envmatrix.exceptions import MissingExtraError
from tests.framework.analysis.audit.rules.pages import PARTS, Page
from tests.framework.analysis.trees import tree

RANDOM = 3 * "q8Zr5VtK2mXw9Lb4Nc7"


def found(root: Path, **sources: str) -> list[AuditFinding]:
    """Return what is found in files."""
    index = tree(root, {f"{name}.py": source for name, source in sources.items()})
    return sorted(findings(index, Survey.of(index)))


def test_the_page_of_the_rule_says_what_it_finds(tmp_path: Path) -> None:
    """The bad example is found just as the page shows it; the good one is not."""
    page = Page.of("EM302", tmp_path, findings)
    assert page.parts == PARTS
    assert page.bad == page.shown
    assert page.good == ""


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("AKIA" + RANDOM[:16].upper(), "AWS Access Key"),
        ("ghp_" + RANDOM[:36], "GitHub Token"),
        ("npm_" + RANDOM[:36], "NPM tokens"),
        (f"SG.{RANDOM[:22]}.{RANDOM[:43]}", "SendGrid API Key"),
        ("xoxb-" + f"{987650321}-{RANDOM[:24]}", "Slack Token"),
        ("sk_live_" + RANDOM[:24], "Stripe Access Key"),
    ],
)
def test_a_token_is_found_and_not_shown(tmp_path: Path, token: str, kind: str) -> None:
    """In a comment too, and in a file that does not parse: it is out."""
    one, two = found(tmp_path, conftest=f"x = 1\n# {token}", test_a=f"def test(:\n  x = '{token}'")
    assert (one.path, one.line, one.column, one.message) == ("conftest.py", 2, 3, f"{kind} in the source")
    assert (two.path, two.line, two.column) == ("test_a.py", 2, 8)
    assert token not in repr((one, two))


@pytest.mark.parametrize(
    "literal",
    [
        "AKIAIOSFODNN7" + "EXAMPLE",
        "ghp_short",
        RANDOM,
        "postgres://shop:" + RANDOM + "@localhost/x",
        "-----BEGIN PRIVATE " + "KEY-----",
        "ey" + "J0ZXN0IjoxfQ.ey" + "J0ZXN0IjoxfQ.c2ln",
    ],
)
def test_what_has_no_form_of_a_services_token_is_none(tmp_path: Path, literal: str) -> None:
    """Examples of documentation, random words, and what suites make for themselves."""
    assert found(tmp_path, test_a=f"PASSWORD = '{literal}'\ndef test(): use(PASSWORD)") == []


def test_the_library_is_needed_only_where_the_rule_is_selected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its very code; without it, the error names the extra to install."""
    monkeypatch.setitem(sys.modules, "detect_secrets.plugins", None)
    index = tree(tmp_path, {"test_a.py": "def test(): run()"})
    assert audit(index, RuleSelection(("ALL", "EM3")), AuditBaseline.empty()).findings == ()
    with pytest.raises(MissingExtraError, match="detect_secrets") as caught:
        audit(index, RuleSelection(("EM302",)), AuditBaseline.empty())
    assert "envmatrix[secrets]" in caught.value.hint
