"""Every case, by theme."""

from tests.accuracy.case import Case
from tests.accuracy.cases import clients, contract, control, harness, logic, mid_suite, mutants, start, stores

CASES: tuple[Case, ...] = (
    *control.CASES,
    *start.CASES,
    *mid_suite.CASES,
    *stores.CASES,
    *contract.CASES,
    *harness.CASES,
    *logic.CASES,
    *clients.CASES,
    *mutants.CASES,
)
