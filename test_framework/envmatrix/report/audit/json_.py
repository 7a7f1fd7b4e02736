"""Findings for programs: one document, in which nothing is shortened. `schema` is raised when an older reader would err."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from envmatrix.analysis.audit.audit import AuditResult
from envmatrix.analysis.audit.findings import AuditFinding

SCHEMA = 1


def render(audit: AuditResult) -> str:
    """Return the document, ASCII only: a lone surrogate in a name stays a JSON escape."""
    document = {
        "schema": SCHEMA,
        "files": audit.files,
        "tests": audit.tests,
        "counts": audit.counts,
        "suppressed": audit.suppressed,
        "known": audit.known,
        "findings": _entries(audit.findings),
        "unknown": _entries(audit.unknown),
        "stale": [asdict(entry) for entry in audit.stale],
    }
    return json.dumps(document, indent=2) + "\n"


def _entries(findings: Sequence[AuditFinding]) -> list[dict[str, Any]]:
    return [
        {
            "path": each.path,
            "line": each.line,
            "column": each.column,
            "code": each.code,
            "message": each.message,
            "hint": each.hint or None,
            "masked": each.masked or None,
            "tests": list(each.tests),
        }
        for each in findings
    ]
