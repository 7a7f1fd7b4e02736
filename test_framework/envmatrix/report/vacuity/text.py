"""Vacuous tests for people: a row per service, then each test with the reason, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from envmatrix.causes.rules import rule_named
from envmatrix.gate import Answer, number_of_tests
from envmatrix.gate.vacuity import ServiceVacuity, Vacuity
from envmatrix.report.console import indented, printed, short
from envmatrix.runs.rules import RuleCode

_ANSWERS = {
    Answer.COMPATIBLE: Text("every test that was judged needs what it requires", "bold green"),
    Answer.INCOMPATIBLE: Text("tests are vacuous", "bold red"),
    Answer.UNKNOWN: Text("unknown", "bold magenta"),
}


def render(vacuity: Vacuity) -> str:
    """Return the report for a person."""
    return printed(Group(*_parts(vacuity)))


def _parts(vacuity: Vacuity) -> Iterator[RenderableType]:
    yield Text.assemble(("envmatrix vacuity", "bold"), "  ", (short(vacuity.environment), "bold"))
    yield Text()
    yield _table(vacuity)
    for service in vacuity.services:
        yield from _vacuous(service)
    if any(service.vacuous for service in vacuity.services):
        rule = rule_named(RuleCode.VACUOUS)
        yield Text()
        yield Text("What to do", "bold")
        yield indented(Text(rule.remedy if rule else ""))
    remarks = [*_remarks(vacuity)]
    if remarks:
        yield Text()
        yield Text("What is not known", "bold")
        yield from (indented(Text(short(remark))) for remark in remarks)
    yield Text()
    yield Text.assemble((short(vacuity.environment), "bold"), ": ", _ANSWERS[vacuity.answer])


def _table(vacuity: Vacuity) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_row(*(Text(title, "dim") for title in ("taken down", "gives", "honest", "vacuous", "skipped or lost")))
    for each in vacuity.services:
        numbers = (len(each.honest), len(each.vacuous), len(each.unjudged))
        cells = (Text(str(number), "bold red" if number and at == 1 else "") for at, number in enumerate(numbers))
        table.add_row(Text(short(each.service)), Text(short(", ".join(each.capabilities))), *cells)
    return table


def _vacuous(service: ServiceVacuity) -> Iterator[RenderableType]:
    if not service.vacuous:
        return
    yield Text()
    yield Text(
        f"Vacuous: {number_of_tests(len(service.vacuous))} that passed while {short(service.service)} was down", "bold"
    )
    for each in service.vacuous:
        used = ", ".join(each.used) or "no service"
        yield indented(Text(short(each.test)))
        yield indented(Text(short(f"{each.why}; by its fixtures it used {used}"), "dim"), 4)


def _remarks(vacuity: Vacuity) -> Iterator[str]:
    for service in vacuity.services:
        if service.problem:
            yield f"{service.service}: {service.problem}"
        elif not (service.honest or service.vacuous):
            yield f"{service.service}: no test requires it"
    for name, source in vacuity.left_alone.items():
        yield f"{name}: it is {source}, and only what we start can be taken down"
