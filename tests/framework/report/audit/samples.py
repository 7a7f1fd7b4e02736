"""What an audit may have found."""

from __future__ import annotations

from pathlib import Path

from envmatrix.analysis.audit.audit import Audit
from envmatrix.analysis.audit.baseline import Entry
from envmatrix.analysis.audit.findings import Finding
from tests.framework.report.samples import HOSTILE

MISSING = Finding(
    "tests/test_a.py",
    3,
    14,
    "EM101",
    "fixture 'real_services' is asked for, and nobody above provides it",
    "tests/unit/conftest.py:5 provides it: move it to tests/conftest.py",
    tuple(f"tests/test_a.py::test_{number}" for number in range(5)),
    "skip",
)
UNUSED = Finding("tests/conftest.py", 9, 1, "EM105", "fixture 'old' is asked for by nobody", "Remove it")
UNKNOWN = Finding("tests/test_b.py", 7, 2, "EM108", "nobody knows whether a fixture is provided: its name is computed")


def everything() -> Audit:
    """An audit with everything in it that a report must show."""
    return Audit(
        root=Path.cwd(),
        findings=(MISSING, UNUSED),
        unknown=(UNKNOWN,),
        suppressed=2,
        known=3,
        stale=(Entry("tests/gone.py", "EM104", "fixtures ask for each other"),),
        files=4,
        tests=20,
    )


def hostile() -> Audit:
    """An audit in which every text that a tree may choose is hostile."""
    findings = tuple(
        Finding(f"tests/{text}.py", 1, 1, "EM101", f"fixture {text}", text, (f"tests/a.py::test[{text}]",) * 4, text)
        for text in HOSTILE
    )
    stale = tuple(Entry(text, "EM101", text) for text in HOSTILE)
    return Audit(Path.cwd(), findings, unknown=findings, stale=stale)
