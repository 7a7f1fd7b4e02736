"""Which tests prove nothing about a service that they require: they pass while it is down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from envmatrix.environments import DOWN, Environment, Source
from envmatrix.gate.verdict import Answer, number_of_tests, worst
from envmatrix.matrix.table import Matrix
from envmatrix.runs.cells import Cell, MissingRun, Run
from envmatrix.runs.outcomes import Outcome
from envmatrix.runs.rules import RuleCode


@dataclass(frozen=True, slots=True)
class Vacuous:
    """A test that passed although it cannot."""

    test: str
    why: str
    """The capability that it requires, and the fault."""
    used: tuple[str, ...]
    """The services that it used through its fixtures."""


@dataclass(frozen=True, slots=True)
class ServiceVacuity:
    """The tests that require one service, run while that was down."""

    service: str
    capabilities: tuple[str, ...]
    """Those that it provides: who requires one of them requires it."""
    vacuous: tuple[Vacuous, ...] = ()
    honest: tuple[str, ...] = ()
    """Tests that failed, as they should."""
    unjudged: Mapping[str, str] = field(default_factory=dict)
    """Test → why it tells nothing: it was skipped, say."""
    problem: str = ""
    """Why the run as a whole tells nothing, or not all."""

    @property
    def answer(self) -> Answer:
        """Return the answer by this service alone: a vacuous test is one, whatever else is unknown."""
        if self.vacuous:
            return Answer.INCOMPATIBLE
        return Answer.UNKNOWN if self.problem else Answer.COMPATIBLE


@dataclass(frozen=True, slots=True)
class Vacuity:
    """The vacuous tests of an environment."""

    environment: str
    services: tuple[ServiceVacuity, ...]
    left_alone: Mapping[str, str]
    """Service → why it was not taken down."""

    @property
    def answer(self) -> Answer:
        """Return whether every test that was judged is honest; unknown where none was."""
        judged = any(each.honest or each.vacuous for each in self.services)
        return worst((*(each.answer for each in self.services), *(() if judged else (Answer.UNKNOWN,))))


def services_to_take_down(environment: Environment) -> Sequence[str]:
    """Return the services that can be taken down: those that we start."""
    return [name for name, spec in environment.services.items() if spec.source not in {Source.REMOTE, Source.ABSENT}]


def vacuity_of(environment: Environment, matrix: Matrix) -> Vacuity:
    """Return what runs tell in each of which one service was down."""
    columns = {column.environment: column for column in matrix.columns}
    taken_down = services_to_take_down(environment)
    others = {name: str(spec.source) for name, spec in environment.services.items() if name not in taken_down}
    services = []
    for name in taken_down:
        column = columns[f"{environment.name}+{name}{DOWN}"]
        capabilities = tuple(word for word, service in environment.providers.items() if service == name)
        services.append(_of_service(name, capabilities, column.run, column.note))
    return Vacuity(environment.name, tuple(services), others)


def _of_service(name: str, capabilities: tuple[str, ...], run: Run | MissingRun, note: str) -> ServiceVacuity:
    if isinstance(run, MissingRun):
        return ServiceVacuity(name, capabilities, problem=run.reason)
    vacuous = [cell for cell in run.ended[Outcome.FAILED] if cell.evidence and cell.evidence.rule == RuleCode.VACUOUS]
    honest = [cell.test for cell in run.ended[Outcome.XFAILED]]
    judged = {*honest, *(cell.test for cell in vacuous)}
    unjudged = {test: _why(cell) for test, cell in run.cells.items() if test not in judged}
    return ServiceVacuity(
        name, capabilities, tuple(map(_vacuous, vacuous)), tuple(honest), unjudged, _problem(run, note)
    )


def _vacuous(cell: Cell) -> Vacuous:
    return Vacuous(cell.test, cell.evidence.summary if cell.evidence else "", cell.attempts[-1].services)


def _why(cell: Cell) -> str:
    return f"{cell.outcome}: {cell.reason or (cell.evidence.summary if cell.evidence else '')}"


def _problem(run: Run, note: str) -> str:
    """Return why a run does not tell of every test; those that were skipped are not for this environment."""
    if run.footer is None or not run.footer.ended_by_itself:
        return note or (run.footer and run.footer.reason) or "the run was cut short"
    cells = (*run.ended[Outcome.FAILED], *run.ended[Outcome.NOT_RUN])
    lost = [cell for cell in cells if cell.evidence is None or cell.evidence.rule != RuleCode.VACUOUS]
    return f"{number_of_tests(len(lost))} broke for another reason than the fault" if lost else ""
