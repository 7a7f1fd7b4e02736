"""A validation as one JSON document. Nothing is shortened."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from envmatrix.report.documents import as_json
from envmatrix.report.validation.validation import ValidationReport
from envmatrix.validation import ValidationFinding

SCHEMA = 1


def render(validation: ValidationReport) -> str:
    """Return the validation as one JSON document."""
    truth, verdict = validation.truth, validation.verdict
    document = {
        "schema": SCHEMA,
        "environment": truth.environment,
        "label": truth.label,
        "answer": validation.answer,
        "exit_code": validation.answer.exit_code,
        "capabilities": list(map(asdict, truth.capabilities)),
        "findings": list(map(_finding, truth.findings)),
        "conformance": verdict.answer,
        "reasons": list(map(asdict, verdict.reasons)),
        "whys": dict(validation.whys),
        "diff": validation.diff,
        "written": validation.written,
        "refused": validation.refused,
    }
    return as_json(document)


def _finding(finding: ValidationFinding) -> dict[str, Any]:
    change = finding.edit
    return {
        "rule": finding.rule,
        "capability": finding.capability,
        "message": finding.message,
        "hint": finding.hint,
        "calls_for": finding.calls_for,
        "file": os.path.relpath(finding.file),
        "line": finding.line,
        "table": change.header if change else None,
        "lines": list(change.lines) if change else [],
    }
