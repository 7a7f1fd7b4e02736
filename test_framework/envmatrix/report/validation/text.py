"""A validation for people: the table of capabilities, findings, and what to write."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from envmatrix.gate import Answer as VerdictAnswer
from envmatrix.report.console import indented, printed, short
from envmatrix.report.text import inert
from envmatrix.report.validation.validation import ValidationReport
from envmatrix.validation import Capability, Declared, Validation, ValidationFinding, Validity

_NAMED = 3
"""Tests to name for one reason; the JSON document has all."""

_STYLES = {Validity.TRUE: "bold green", Validity.UNTRUE: "bold red", Validity.UNKNOWN: "bold magenta"}


def render(validation: ValidationReport) -> str:
    """Return the report for a person."""
    return printed(Group(*_parts(validation)))


def _parts(validation: ValidationReport) -> Iterator[RenderableType]:
    truth = validation.truth
    yield Text.assemble(("envmatrix validate", "bold"), "  ", (inert(truth.label), "bold"))
    yield Text()
    yield _table(truth)
    decisive = [finding for finding in truth.findings if finding.calls_for is not Validity.TRUE]
    remarks = [finding for finding in truth.findings if finding.calls_for is Validity.TRUE]
    yield from _section("What is not as declared", decisive)
    yield from _section("Remarks", remarks)
    yield from _proposal(validation)
    yield Text()
    yield Text(f"Conformance suite: {validation.verdict.answer}", "bold")
    for reason in validation.verdict.reasons:
        yield indented(Text(inert(reason.text)))
        if reason.calls_for is not VerdictAnswer.COMPATIBLE:
            for test in reason.tests[:_NAMED]:
                yield indented(Text(inert(test), "dim"), 4)
                if why := validation.whys.get(test):
                    yield indented(Text(short(why)), 6)
            if len(reason.tests) > _NAMED:
                yield indented(Text(f"and {len(reason.tests) - _NAMED} more", "dim"), 4)
    yield Text()
    yield Text.assemble((inert(truth.label), "bold"), ": ", (validation.answer.value, _STYLES[validation.answer]))


def _table(truth: Validation) -> Table:
    table = Table.grid(padding=(0, 3))
    for _ in range(4):
        table.add_column(overflow="fold")
    table.add_row(*(Text(title, "dim") for title in ("capability", "declared", "observed", "exercised by")), Text())
    for each in truth.capabilities:
        table.add_row(
            Text(inert(each.name)),
            Text(inert(_declared(each))),
            Text(inert(_observed(each))),
            Text(_exercised(each)),
            _answer(truth, each),
        )
    return table


def _declared(each: Capability) -> str:
    where = each.source if each.is_service else f"by {each.service}"
    return f"{where}, {each.declared}" if each.is_promised and where else f"{each.declared}"


def _observed(each: Capability) -> str:
    """Return what a probe observed; for a capability that is no service, what it observed of its service."""
    seen = each.observed or ("not seen" if each.is_promised else "absent")
    if not each.is_service or each.is_up:
        return seen
    parts = [f"{seen}: {each.detail}"] if each.is_promised and each.detail else [seen] if each.is_promised else []
    parts += [f"up, {' and '.join(each.said_by)} says"] if each.said_by else []
    return "; ".join(parts) or "absent"


def _exercised(each: Capability) -> str:
    if not each.is_promised:
        return "-"
    counts = (f"{len(each.passed)} passed" if each.passed else "", f"{len(each.failed)} failed" if each.failed else "")
    return ", ".join(filter(None, counts)) or "nothing"


def _answer(truth: Validation, each: Capability) -> Text:
    findings = truth.about(each.name)
    if not findings and each.is_promised and not each.is_up:
        return (
            Text("optional", "dim")
            if each.observed and each.declared is Declared.OPTIONAL
            else Text("unknown", "magenta")
        )
    if not findings:
        return Text("true", "green")
    return Text(", ".join(finding.rule for finding in findings), _STYLES[findings[0].calls_for])


def _section(title: str, findings: Sequence[ValidationFinding]) -> Iterator[RenderableType]:
    if findings:
        yield Text()
        yield Text(title, "bold")
    for finding in findings:
        place = os.path.relpath(finding.file) + (f":{finding.line}" if finding.line else "")
        message = Text.assemble((finding.rule, "bold"), f" {inert(finding.message)} ", (f"({inert(place)})", "dim"))
        yield indented(message)
        yield indented(Text(inert(finding.hint)), 7)


def _proposal(validation: ValidationReport) -> Iterator[RenderableType]:
    """Yield the lines to write: as a diff, or table by table where the file cannot be changed."""
    changes = validation.truth.edits
    if not changes:
        return
    yield Text()
    if validation.refused:
        yield Text.assemble(("Cannot be written for you", "bold"), f": {inert(validation.refused)}")
    elif validation.written:
        yield Text("Written; validate again to see it hold:", "bold")
    else:
        yield Text(f"envmatrix validate {inert(validation.truth.environment)} --fix writes:", "bold")
    lines = validation.diff.splitlines() or [line for each in changes for line in (each.header, *each.lines)]
    for line in lines:
        yield indented(Text(inert(line), {"+": "green", "-": "red"}.get(line[:1], "")))
