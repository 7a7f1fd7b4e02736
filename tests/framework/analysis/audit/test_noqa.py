"""`# noqa`: what it covers, and what of it is of no use."""

import pytest

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.noqa import Noqa

FOUND = AuditFinding("a.py", 3, 9, "EM101", "gone")


@pytest.mark.parametrize(
    ("codes", "covers"),
    [((), True), (("EM101",), True), (("E501", "EM1"), True), (("EM102",), False), (("E501",), False)],
)
def test_a_comment_covers_what_it_names_on_its_line(codes: tuple[str, ...], covers: bool) -> None:
    """A blanket one covers all, the beginning of a code all that begin so, and no code of other linters any of ours."""
    assert Noqa({"a.py": ((3, codes),)}).covers(FOUND) is covers
    assert not Noqa({"a.py": ((4, codes),), "b.py": ((3, codes),)}).covers(FOUND)


def test_a_code_that_suppresses_nothing_is_told() -> None:
    """Only ours, only of rules that were looked for, and not where the comment says that it may be so."""
    noqa = Noqa({"a.py": ((3, ("EM101", "EM105", "E501", "EM3")), (5, ("EM105", "EM199")), (6, ()))})
    assert noqa.covers(FOUND)
    assert [each.message for each in noqa.unused(["EM101", "EM105"])] == ["# noqa: EM105 suppresses nothing"]
    assert list(noqa.unused(["EM101"])) == []
