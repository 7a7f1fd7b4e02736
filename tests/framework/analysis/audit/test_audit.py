"""From a tree to findings: which rules hold where, what is suppressed, what is known."""

from pathlib import Path

import pytest

from envmatrix.analysis.audit.audit import AuditResult, audit
from envmatrix.analysis.audit.baseline import AuditBaseline
from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.noqa import UNUSED
from envmatrix.analysis.audit.rules.catalog import ALL, OPT_IN, UNKNOWN
from envmatrix.analysis.audit.selection import RuleSelection
from tests.framework.analysis.trees import tree

FILES = {
    "conftest.py": "import pytest\n@pytest.fixture\ndef left_over(): ...",
    "a/test_a.py": "def test_a(gone): ...\ndef test_b(lost): ...  # noqa: EM101",
    "b/test_b.py": "def test_c(gone): ...  # noqa: EM105\ndef test_d(request): request.getfixturevalue(b'x')",
}


EVERY_RULE = RuleSelection()


def audited(root: Path, selection: RuleSelection = EVERY_RULE, paths: tuple[str, ...] = ()) -> AuditResult:
    """Audit the files above."""
    return audit(tree(root, FILES), selection, AuditBaseline.empty(), paths)


@pytest.mark.parametrize(
    ("select", "ignore", "holds"),
    [
        (("ALL",), (), {"EM101", "EM105", "EM303"}),
        (("EM1",), (), {"EM101", "EM105"}),
        (("ALL",), ("EM1",), {"EM303"}),
        (("EM101",), ("EM1",), {"EM101"}),
        (("EM1",), ("EM105",), {"EM101"}),
        (("EM1",), ("EM1",), set()),
        (("ALL",), ("ALL",), set()),
    ],
)
def test_the_closest_word_decides(select: tuple[str, ...], ignore: tuple[str, ...], holds: set[str]) -> None:
    """A whole code wins over a beginning, that over `ALL`; where both say the same, the rule is off."""
    selection = RuleSelection(select, ignore)
    assert {code for code in ("EM101", "EM105", "EM303") if selection.holds(code)} == holds


@pytest.mark.parametrize(
    ("pattern", "ignored"),
    [("a/*", True), ("a/**", True), ("*/test_a.py", True), ("**/test_a.py", True), ("test_a.py", True), ("b/*", False)],
)
def test_a_pattern_fits_a_path_or_a_name(pattern: str, ignored: bool) -> None:
    """As a shell would match it, a star over slashes too."""
    selection = RuleSelection(per_file_ignores=((pattern, ("EM1",)),))
    assert (AuditFinding("a/test_a.py", 1, 1, "EM101", "") not in selection) is ignored
    assert AuditFinding("a/test_a.py", 1, 1, "EM201", "") in selection


def test_what_is_suppressed_is_counted_and_what_suppresses_nothing_is_found(tmp_path: Path) -> None:
    """The comment on the line of the finding counts; a code of ours that covers nothing is a finding of its own."""
    done = audited(tmp_path, RuleSelection(("EM1",)))
    assert [(each.path, each.line, each.code) for each in done.findings] == [
        ("a/test_a.py", 1, "EM101"),
        ("b/test_b.py", 1, UNUSED),
        ("b/test_b.py", 1, "EM101"),
    ]
    assert (done.suppressed, done.files, done.tests) == (1, 2, 4)
    assert done.counts == {"EM101": 2, UNUSED: 1}


def test_an_opt_in_rule_is_on_only_by_its_very_code() -> None:
    """Neither `ALL` nor the beginning of its code means it."""
    assert {UNKNOWN, "EM207", "EM301"} <= OPT_IN
    assert not any(RuleSelection((word,)).holds("EM301") for word in ("ALL", "EM", "EM3"))
    assert RuleSelection(("ALL", "EM301")).holds("EM301")
    assert not RuleSelection(("ALL", "EM301"), ("EM301",)).holds("EM301")


def test_an_unknown_request_is_a_finding_only_by_its_very_code(tmp_path: Path) -> None:
    """Otherwise it is kept apart, so that a summary can count it."""
    assert [each.code for each in audited(tmp_path).unknown] == ["EM108"]
    assert [each.code for each in audited(tmp_path, RuleSelection(("EM108",))).findings] == ["EM108"]


def test_only_what_was_asked_for_is_told(tmp_path: Path) -> None:
    """The whole of a directory, or one file; what is beside it is not."""
    for paths in (("a",), ("a/test_a.py",)):
        assert {each.path for each in audited(tmp_path, RuleSelection(("EM1",)), paths).findings} == {"a/test_a.py"}
    assert audited(tmp_path, RuleSelection(("EM1",)), (".",)) == audited(tmp_path, RuleSelection(("EM1",)))


def test_what_the_baseline_holds_is_not_told(tmp_path: Path) -> None:
    """It is counted; what it holds beside is stale, unless the rule is off or the file was not asked for."""
    selection = RuleSelection(("EM1",))
    first = audited(tmp_path, selection)
    gone = AuditFinding("a/test_a.py", 1, 1, "EM104", "a cycle")
    known = AuditBaseline.empty().updated([*first.findings, gone], lambda _: True)
    index = tree(tmp_path, FILES)
    done = audit(index, selection, known)
    assert (done.findings, done.known, [each.code for each in done.stale]) == ((), 3, ["EM104"])
    assert audit(index, RuleSelection(("EM101",)), known).stale == ()
    assert audit(index, selection, known, ("b",)).stale == ()


def test_every_rule_has_a_code_of_its_own() -> None:
    """And a name in words joined by hyphens."""
    assert len({rule.code for rule in ALL}) == len({rule.name for rule in ALL}) == len(ALL)
    assert [rule.name for rule in ALL if not rule.name.replace("-", "").islower()] == []
