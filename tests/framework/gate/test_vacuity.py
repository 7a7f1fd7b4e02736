"""What runs with a service down tell: who broke for another reason, or was skipped, is not judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from envmatrix.environments import Environment, ServiceSpec, Source
from envmatrix.gate import Answer
from envmatrix.gate.vacuity import ServiceVacuity, vacuity_of
from envmatrix.matrix.table import Matrix
from envmatrix.runs.cells import Cell, MissingRun, Run
from envmatrix.runs.events import Attempt, Evidence, Footer, Header
from envmatrix.runs.outcomes import Cause, Outcome

LOCAL = Environment(
    name="local",
    file=Path("local.toml"),
    services={
        "redis": ServiceSpec(name="redis", kind="redis", source=Source.EMBEDDED, capabilities=("cache",)),
        "far": ServiceSpec(name="far", kind="http", source=Source.REMOTE, url="http://example.com"),
    },
)
HONEST = Attempt("a.py::honest", Outcome.XFAILED)
VACUOUS = Attempt("a.py::vacuous", Outcome.FAILED, cause=Cause.LOGIC, evidence=Evidence("L407", "passed"))
SKIPPED = Attempt("a.py::skipped", Outcome.SKIPPED, reason="not here")
BROKEN = Attempt("a.py::broken", Outcome.FAILED, cause=Cause.CONTRACT, evidence=Evidence("C101", "no fixture"))


def redis(*attempts: Attempt, footer: bool = True, note: str = "") -> ServiceVacuity:
    """Return what a run with these cells tells of Redis."""
    header = Header(
        run_id="1",
        environment="local+redis.down",
        label="",
        started_at="",
        commit="c",
        sources={},
        versions={},
        planned=(),
    )
    cells = {attempt.test: Cell.of((attempt,)) for attempt in attempts}
    run = Run(header, cells, Footer("", 1.0, 0) if footer else None)
    found = vacuity_of(LOCAL, Matrix.from_runs([run], notes={"local+redis.down": note}))
    assert found.left_alone == {"far": "remote"}
    (service,) = found.services
    assert found.answer is (service.answer if service.honest or service.vacuous else Answer.UNKNOWN)
    return service


@pytest.mark.parametrize(
    ("attempts", "answer", "problem"),
    [
        ([HONEST, SKIPPED], Answer.COMPATIBLE, ""),
        ([HONEST, VACUOUS], Answer.INCOMPATIBLE, ""),
        ([HONEST, BROKEN], Answer.UNKNOWN, "1 test broke for another reason than the fault"),
        ([VACUOUS, BROKEN], Answer.INCOMPATIBLE, "1 test broke for another reason than the fault"),
        ([SKIPPED], Answer.COMPATIBLE, ""),
    ],
)
def test_a_vacuous_test_decides_and_a_lost_one_leaves_it_open(
    attempts: list[Attempt], answer: Answer, problem: str
) -> None:
    """Skipped tests are not for this environment; of one that broke otherwise nothing is known."""
    found = redis(*attempts)
    assert (found.answer, found.problem, found.capabilities) == (answer, problem, ("redis", "cache"))
    judged = len(found.honest) + len(found.vacuous)
    assert judged + len(found.unjudged) == len(attempts)


def test_a_run_that_was_cut_short_is_unknown() -> None:
    """Without its footer, or without a run file."""
    assert redis(HONEST, footer=False).problem == "the run was cut short"
    assert redis(HONEST, footer=False, note="killed by SIGKILL").problem == "killed by SIGKILL"
    missing = Matrix.from_runs([], [MissingRun("local+redis.down", "local+redis.down", "left no run file")])
    found = vacuity_of(LOCAL, missing)
    assert (found.answer, found.services[0].problem) == (Answer.UNKNOWN, "left no run file")
