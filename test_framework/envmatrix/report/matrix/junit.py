"""A JUnit file for each environment, which CI systems and dashboards read.

The environment stands in the name of the suite and before every class name: by these, GitLab, Jenkins and the readers on
GitHub tell tests of one name apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from envmatrix.gate import Answer, Verdict
from envmatrix.matrix.table import Column
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.report.text import first_line, inert, inert_lines
from envmatrix.report.words import cause_and_rule, word
from envmatrix.runs.cells import Cell, MissingRun
from envmatrix.runs.events import Evidence, FailedPart
from envmatrix.runs.nodeid import file_of, split
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping


def render(judged: JudgedMatrix) -> dict[str, str]:
    """Return a file for each environment, by the environment's name."""
    return {
        column.environment: _document(column, verdict)
        for column, verdict in zip(judged.matrix.columns, judged.verdicts, strict=True)
    }


def _document(column: Column, verdict: Verdict) -> str:
    root = Element("testsuites")
    suite = SubElement(root, "testsuite", name=inert(column.label))
    _properties(suite, _about(column, verdict))
    for cell in column.cells.values():
        suite.extend(_cases(column, cell))
    if verdict.answer is not Answer.COMPATIBLE:
        suite.append(_verdict(column, verdict))
    for each in (root, suite):
        each.set("tests", str(len(suite.findall("testcase"))))
        each.set("failures", str(len(suite.findall("testcase/failure"))))
        each.set("errors", str(len(suite.findall("testcase/error"))))
        each.set("skipped", str(len(suite.findall("testcase/skipped"))))
        each.set("time", _seconds(sum(cell.duration for cell in column.cells.values())))
    root.set("name", "envmatrix")
    if not isinstance(column.run, MissingRun):
        suite.set("timestamp", inert(column.run.header.started_at))
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _about(column: Column, verdict: Verdict) -> Iterator[tuple[str, str]]:
    yield "environment", column.environment
    yield "verdict", verdict.answer
    if not isinstance(column.run, MissingRun):
        yield "run", column.run.header.run_id
        yield "commit", column.run.header.commit
    yield from ((f"source of {name}", source) for name, source in sorted(column.sources.items()))


def _verdict(column: Column, verdict: Verdict) -> Element:
    """Return a test that stands for the environment as a whole: a run that is missing or was cut short is never green."""
    case = Element("testcase", classname=inert(column.environment), name="verdict", time="0.000")
    reasons = [inert(reason.text) for reason in verdict.reasons]
    kind = "failure" if verdict.answer is Answer.INCOMPATIBLE else "error"
    SubElement(case, kind, type=verdict.answer, message=reasons[0]).text = "\n".join(reasons)
    if isinstance(column.run, MissingRun) and column.run.log_tail:
        SubElement(case, "system-out").text = inert_lines(column.run.log_tail)
    return case


def _cases(column: Column, cell: Cell) -> Iterator[Element]:
    """Yield a test, and after it each of its subtests that failed."""
    case = _case(column, cell.test)
    case.set("time", _seconds(cell.duration))
    evidence = cell.evidence
    _properties(case, _about_cell(cell))
    if evidence is not None and cell.outcome in (Outcome.FAILED, Outcome.FLAKY):
        kind = "flakyFailure" if cell.outcome is Outcome.FLAKY else _kind(cell.cause)
        broken = _broken(case, kind, cell.cause, evidence.rule, evidence.summary)
        broken.text = inert_lines(evidence.detail or evidence.summary)
    elif cell.outcome is Outcome.FAILED:
        _broken(case, _kind(cell.cause), cell.cause, "", cell.reason)
    elif cell.outcome.is_silent:
        reason = inert(first_line(evidence.summary if evidence else cell.reason))
        told = reason if cell.outcome is Outcome.SKIPPED else f"{word(cell.outcome)}: {reason}".rstrip(": ")
        SubElement(case, "skipped", type=cell.outcome, message=told)
    if evidence and (lines := "\n".join(_evidence(evidence))):
        SubElement(case, "system-out").text = lines
    yield case
    for part in evidence.parts if evidence else ():
        yield _part(column, cell, part)


def _case(column: Column, test: str, more: str = "") -> Element:
    """Return a test without its outcome: its class is the environment, the module and the classes, joined by dots."""
    file, name, _ = split(test)
    *classes, function = name.split("::")
    module = file.removesuffix(".py").replace("/", ".")
    parameters = test.partition("::")[2].removeprefix(name)
    classname = ".".join(filter(None, (column.environment, module, *classes)))
    return Element(
        "testcase",
        classname=inert(classname),
        name=inert(f"{function}{parameters}{more}") or inert(file),
        file=inert(file_of(test)),
    )


def _part(column: Column, cell: Cell, part: FailedPart) -> Element:
    case = _case(column, cell.test, f" {part.label}")
    case.set("time", "0.000")  # a subtest has no time of its own
    _properties(case, (("cause", part.cause or ""), ("rule", part.rule), ("place", part.place)))
    _broken(case, _kind(part.cause), part.cause, part.rule, part.summary).text = inert_lines(part.summary)
    return case


def _kind(cause: Cause | None) -> str:
    """Return `error` for what says nothing about the product."""
    return "failure" if cause is None or cause.blames_product else "error"


def _broken(case: Element, kind: str, cause: Cause | None, rule: str, summary: str) -> Element:
    named = inert(cause_and_rule(cause, rule)) or kind
    return SubElement(case, kind, type=named, message=inert(first_line(summary)))


def _about_cell(cell: Cell) -> Iterator[tuple[str, str]]:
    if cell.cause is not None:
        yield "cause", cell.cause
    if cell.evidence is not None:
        yield "rule", cell.evidence.rule
        yield "place", cell.evidence.place
    if len(cell.attempts) > 1:
        yield "attempts", str(len(cell.attempts))
    if cell.reused_from:
        yield "reused from", cell.reused_from
    if cell.outcome is Outcome.XPASSED:
        yield "outcome", cell.outcome


def _evidence(evidence: Evidence) -> Iterator[str]:
    """Yield what decided the cause: each text on lines of its own."""
    yield from _section("Exceptions, outermost first", evidence.exceptions)
    yield from _section("Services before", map(_ping, evidence.pings_before))
    yield from _section("Services right after", map(_ping, evidence.pings))
    yield from _section("What the test asked for, oldest first", evidence.exchanges)
    for service, log in evidence.logs.items():
        yield from _section(f"The end of {inert(service)}'s log", [log])


def _section(title: str, texts: Iterable[str]) -> Iterator[str]:
    lines = [inert_lines(text) for text in texts]
    if lines:
        yield from (f"{title}:", *lines)


def _ping(ping: Ping) -> str:
    return f"{ping.service}: {ping.status}{f': {ping.detail}' if ping.detail else ''}"


def _properties(parent: Element, values: Iterable[tuple[str, str]]) -> None:
    kept = [(name, value) for name, value in values if value]
    if kept:
        group = SubElement(parent, "properties")
        for name, value in kept:
            SubElement(group, "property", name=inert(name), value=inert(value))


def _seconds(duration: float) -> str:
    return f"{duration:.3f}"
