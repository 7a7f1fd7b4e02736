"""What `envmatrix validate` says: for a person, and as one JSON document."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from envmatrix.gate import Answer as VerdictAnswer
from envmatrix.gate import Verdict
from envmatrix.report.matrix.terminal import make_console
from envmatrix.report.text import inert
from envmatrix.validation import Answer, Capability, Declared, Finding, Truth

SCHEMA = 1

_NAMED = 3
"""Tests that are named where one reason holds for many; the JSON document has all."""

_STYLES = {Answer.TRUE: "bold green", Answer.UNTRUE: "bold red", Answer.UNKNOWN: "bold magenta"}


@dataclass(frozen=True, slots=True)
class Validation:
    """One environment, validated."""

    truth: Truth
    verdict: Verdict
    """On the conformance suite."""
    diff: str = ""
    """What makes the declaration true, as far as that can be written."""
    written: bool = False
    """Whether that was written."""
    refused: str = ""
    """Why it cannot be written."""

    @property
    def answer(self) -> Answer:
        """Return the answer of the declaration and the suite together: a broken contract is no truth."""
        suite = {
            VerdictAnswer.COMPATIBLE: Answer.TRUE,
            VerdictAnswer.INCOMPATIBLE: Answer.UNTRUE,
            VerdictAnswer.UNKNOWN: Answer.UNKNOWN,
        }[self.verdict.answer]
        answers = {self.truth.answer, suite}
        return next(each for each in (Answer.UNTRUE, Answer.UNKNOWN, Answer.TRUE) if each in answers)


def as_text(validation: Validation) -> str:
    """Return the report for a person."""
    console = make_console()
    with console.capture() as capture:
        console.print(Group(*_parts(validation)))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _parts(validation: Validation) -> Iterator[RenderableType]:
    truth = validation.truth
    yield Text.assemble(("envmatrix validate", "bold"), "  ", (inert(truth.label), "bold"))
    yield Text()
    yield _table(truth)
    decisive = [found for found in truth.findings if found.calls_for is not Answer.TRUE]
    remarks = [found for found in truth.findings if found.calls_for is Answer.TRUE]
    yield from _section("What is not as declared", decisive)
    yield from _section("Remarks", remarks)
    yield from _proposal(validation)
    yield Text()
    yield Text(f"Conformance suite: {validation.verdict.answer}", "bold")
    for reason in validation.verdict.reasons:
        yield _indented(inert(reason.text))
        if reason.calls_for is not VerdictAnswer.COMPATIBLE:
            more = [f"and {len(reason.tests) - _NAMED} more"] if len(reason.tests) > _NAMED else []
            yield from (_indented(f"  {inert(test)}", "dim") for test in (*reason.tests[:_NAMED], *more))
    yield Text()
    yield Text.assemble((inert(truth.label), "bold"), ": ", (validation.answer.value, _STYLES[validation.answer]))


def _table(truth: Truth) -> Table:
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
    """Return what was seen; of what is no service, nobody looks at more than its service."""
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


def _answer(truth: Truth, each: Capability) -> Text:
    found = truth.about(each.name)
    if not found and each.is_promised and not each.is_up:
        return (
            Text("optional", "dim")
            if each.observed and each.declared is Declared.OPTIONAL
            else Text("unknown", "magenta")
        )
    if not found:
        return Text("true", "green")
    return Text(", ".join(one.rule for one in found), _STYLES[found[0].calls_for])


def _section(title: str, findings: Sequence[Finding]) -> Iterator[RenderableType]:
    if findings:
        yield Text()
        yield Text(title, "bold")
    for found in findings:
        place = os.path.relpath(found.file) + (f":{found.line}" if found.line else "")
        message = Text.assemble((found.rule, "bold"), f" {inert(found.message)} ", (f"({inert(place)})", "dim"))
        yield Padding(message, (0, 0, 0, 2))
        yield Padding(Text(inert(found.hint)), (0, 0, 0, 7))


def _proposal(validation: Validation) -> Iterator[RenderableType]:
    """Yield what to write: as a diff, or line by line where the file cannot be changed for us."""
    changes = validation.truth.changes
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
        yield _indented(inert(line), {"+": "green", "-": "red"}.get(line[:1], ""))


def _indented(text: str, style: str = "") -> Padding:
    return Padding(Text(text, style), (0, 0, 0, 2))


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class FindingEntry(_Frozen):
    """Where declared, observed and exercised differ."""

    rule: str
    capability: str
    message: str
    hint: str
    calls_for: Answer
    """The answer that this finding alone would give."""
    file: str
    """The declaration, as seen from here."""
    line: int
    """Of the declaration, 1-based; 0 where it has none."""
    table: str | None
    """The header of the table to change; `null` where nothing is to be written."""
    lines: list[str]
    """What to write there."""


class CapabilityEntry(_Frozen):
    """One capability, three ways."""

    name: str
    service: str
    declared: Declared
    source: str
    observed: str
    detail: str
    said_by: list[str]
    passed: list[str]
    failed: list[str]


class ReasonEntry(_Frozen):
    """Why the conformance suite's verdict is what it is."""

    code: str
    text: str
    tests: list[str]


class ValidationDocument(_Frozen):
    """The whole document."""

    model_config = ConfigDict(frozen=True, title="envmatrix validation", serialize_by_alias=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    environment: str
    label: str
    answer: Answer
    exit_code: int
    """0 true, 1 untrue, 3 unknown."""
    capabilities: list[CapabilityEntry]
    findings: list[FindingEntry]
    conformance: VerdictAnswer
    reasons: list[ReasonEntry]
    diff: str
    written: bool
    refused: str


def as_json(validation: Validation) -> str:
    """Return the JSON document, ASCII only."""
    truth, verdict = validation.truth, validation.verdict
    document = ValidationDocument(
        environment=truth.environment,
        label=truth.label,
        answer=validation.answer,
        exit_code=validation.answer.exit_code,
        capabilities=[CapabilityEntry(**asdict(each)) for each in truth.capabilities],
        findings=[_finding(found) for found in truth.findings],
        conformance=verdict.answer,
        reasons=[ReasonEntry(code=each.code, text=each.text, tests=list(each.tests)) for each in verdict.reasons],
        diff=validation.diff,
        written=validation.written,
        refused=validation.refused,
    )
    return json.dumps(document.model_dump(mode="json"), indent=2) + "\n"


def _finding(found: Finding) -> FindingEntry:
    return FindingEntry(
        rule=found.rule,
        capability=found.capability,
        message=found.message,
        hint=found.hint,
        calls_for=found.calls_for,
        file=os.path.relpath(found.file),
        line=found.line,
        table=found.change.header if found.change else None,
        lines=list(found.change.lines) if found.change else [],
    )
