"""The reference system's planted bugs: each has a test that finds it, and none can be switched on by accident."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from environments.reference import planted
from environments.reference.backend import main as run_backend
from environments.reference.llm import bugs  # noqa: F401  registers the model's
from environments.reference.llm.app import main as run_llm
from tests.accuracy.case import Truth
from tests.accuracy.cases import mutants
from tests.accuracy.run import run_cases
from tests.accuracy.score import Grade, grade

ROOT = Path(__file__).parents[2]
READS = ("threads", "state", "events", "context")
"""Bugs that let one user read another's words."""


@pytest.mark.fault("cross-worker-collision")
def test_cross_user_reads_are_found() -> None:
    """The shipped canaries fail for each; the rest is of `nox -s accuracy`. Takes one real start."""
    cases = [case for case in mutants.CASES if case.name.partition(":")[0] in READS and case.truth is Truth.CONTRACT]
    assert len(cases) == len(READS)
    results = [grade(case, seen) for case, seen in zip(cases, run_cases(cases, threading.Event()), strict=True)]
    assert [(result.grade, result.why) for result in results] == [(Grade.OK, "")] * len(cases)


def test_every_bug_has_a_test_that_finds_it() -> None:
    """The accuracy suite switches each of them on, and names the tests that must fail for it."""
    assert all(mutants.KILLED_BY.values())
    assert mutants.KILLED_BY.keys() == planted.NAMES


@pytest.mark.parametrize("main", [run_backend, run_llm], ids=["backend", "llm"])
@pytest.mark.parametrize("environment", ["staging", "production", "local", "unknown", "planted-production"])
def test_a_service_does_not_start_with_a_bug_by_accident(
    monkeypatch: pytest.MonkeyPatch, environment: str, main: Callable[[], None]
) -> None:
    """Anywhere but in the environment for it, a planted bug ends the process before it serves anybody."""
    needed = {"DATABASE_URL": "postgresql://nowhere/", "REDIS_URL": "redis://nowhere/", "AUTH_URL": "http://nowhere"}
    for name, value in {**needed, "ENVIRONMENT": environment, "PLANTED": "switch"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=f"PLANTED is refused in '{environment}'"):
        main()


def test_no_declared_environment_admits_a_bug() -> None:
    """None of this repository is named like the one for bugs, and none switches them on."""
    declarations = list((ROOT / "environments").rglob("*.toml"))
    assert planted.ENVIRONMENT not in {path.stem for path in declarations}
    assert [path for path in declarations if "PLANTED" in path.read_text()] == []
