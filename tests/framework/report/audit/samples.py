"""What an audit may have found."""

from __future__ import annotations

from pathlib import Path

from envmatrix.analysis.audit.audit import AuditResult
from envmatrix.analysis.audit.baseline import KnownFinding
from envmatrix.analysis.audit.findings import AuditFinding
from tests.framework.report.samples import HOSTILE

MISSING = AuditFinding(
    "tests/test_a.py",
    3,
    14,
    "EM101",
    "fixture 'real_services' is asked for, and none of that name is in sight",
    "tests/unit/conftest.py:5 provides it: move it to tests/conftest.py",
    tuple(f"tests/test_a.py::test_{number}" for number in range(5)),
    "skip",
)
UNUSED = AuditFinding("tests/conftest.py", 9, 1, "EM105", "fixture 'old' is never asked for", "Remove it")
UNKNOWN = AuditFinding(
    "tests/test_b.py",
    7,
    2,
    "EM108",
    "the source does not tell whether a fixture is provided",
    "The reason: its name is computed",
)


def everything() -> AuditResult:
    """An audit with everything in it that a report must show."""
    return AuditResult(
        root=Path.cwd(),
        findings=(MISSING, UNUSED),
        unknown=(UNKNOWN,),
        suppressed=2,
        known=3,
        stale=(KnownFinding("tests/gone.py", "EM104", "fixtures ask for each other"),),
        files=4,
        tests=20,
    )


def hostile() -> AuditResult:
    """An audit in which every text that a tree may choose is hostile."""
    findings = tuple(
        AuditFinding(
            f"tests/{text}.py", 1, 1, "EM101", f"fixture {text}", text, (f"tests/a.py::test[{text}]",) * 4, text
        )
        for text in HOSTILE
    )
    stale = tuple(KnownFinding(text, "EM101", text) for text in HOSTILE)
    return AuditResult(Path.cwd(), findings, unknown=findings, stale=stale)
