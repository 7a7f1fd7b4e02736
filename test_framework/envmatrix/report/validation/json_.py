"""A validation as one JSON document. Nothing is shortened."""

from __future__ import annotations

import os

from pydantic import ConfigDict, Field

from envmatrix.gate import Answer as VerdictAnswer
from envmatrix.gate import Reason
from envmatrix.report.documents import Entry, as_json
from envmatrix.report.validation.validation import Validation
from envmatrix.validation import Answer, Capability, Finding

SCHEMA = 1


class FindingEntry(Entry):
    """A difference between declared, observed and exercised."""

    rule: str
    capability: str
    message: str
    hint: str
    calls_for: Answer
    """The answer that this finding alone would give."""
    file: str
    """The declaration, relative to the current directory."""
    line: int
    """Line of the declaration, 1-based; 0 where it has none."""
    table: str | None
    """The header of the table to change; `null` where nothing is to be written."""
    lines: list[str]
    """Lines to write into that table."""


class ValidationDocument(Entry):
    """The whole document."""

    model_config = ConfigDict(frozen=True, title="envmatrix validation", serialize_by_alias=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    environment: str
    label: str
    answer: Answer
    exit_code: int
    """0 true, 1 untrue, 3 unknown."""
    capabilities: tuple[Capability, ...]
    findings: list[FindingEntry]
    conformance: VerdictAnswer
    reasons: tuple[Reason, ...]
    diff: str
    written: bool
    refused: str


def render(validation: Validation) -> str:
    """Return the validation as one JSON document."""
    truth, verdict = validation.truth, validation.verdict
    document = ValidationDocument(
        environment=truth.environment,
        label=truth.label,
        answer=validation.answer,
        exit_code=validation.answer.exit_code,
        capabilities=truth.capabilities,
        findings=[_finding(finding) for finding in truth.findings],
        conformance=verdict.answer,
        reasons=verdict.reasons,
        diff=validation.diff,
        written=validation.written,
        refused=validation.refused,
    )
    return as_json(document)


def _finding(finding: Finding) -> FindingEntry:
    return FindingEntry(
        rule=finding.rule,
        capability=finding.capability,
        message=finding.message,
        hint=finding.hint,
        calls_for=finding.calls_for,
        file=os.path.relpath(finding.file),
        line=finding.line,
        table=finding.change.header if finding.change else None,
        lines=list(finding.change.lines) if finding.change else [],
    )
