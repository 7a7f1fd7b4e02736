"""A matrix with everything in it that a report must show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from envmatrix.gate import judge_all
from envmatrix.matrix.table import Matrix, Selection
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.runs.cells import MissingRun
from envmatrix.runs.events import Attempt, Evidence, FailedPart, FindingRecord
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.run_files import footer, write_run

HOSTILE = (
    "<script>alert(1)</script>",
    "\x1b[31m\x1b]0;title\x07",
    "\udc80",
    "two\nlines\r\v\u2028",
    "::error::owned",
    "::set-output name=x::y",
    "##[error]owned",
    "[red]markup[/red]",
    "a|b|c",
    "``` `` `",
    "*bold* _it_ ~s~ @someone #1 https://evil.example $x$",
    "![i](http://x)",
    "</details>",
    "\u202eabc\u2066",
    "x" * 5000,
    "{{ 7*7 }}",
)
"""What a test may be called."""

DOWN = Evidence("I201", "backend is down: connection refused", "call", "tests/test_a.py:3")
WRONG = Evidence("L401", "AssertionError: assert 1 == 2", "call", "tests/test_a.py:9", detail="long")
LEGACY = Evidence("C102", "conftest.py:4: fixture 'real_services' lacks 'auth_url'", "setup", "conftest.py:4")


def judged(matrix: Matrix) -> JudgedMatrix:
    """The matrix with its verdicts."""
    return JudgedMatrix(matrix, judge_all(matrix))


def everything(directory: Path) -> JudgedMatrix:
    """Four environments, of which one is missing, with every outcome and cause."""
    directory.mkdir(parents=True, exist_ok=True)
    one, two, three = "tests/test_a.py::test_one", "tests/test_a.py::test_two", "tests/test_a.py::test_three"
    skipped = [
        Attempt(f"tests/test_b.py::test_{number}", Outcome.SKIPPED, reason="redis is absent") for number in range(12)
    ]
    local = write_run(
        directory / "local.jsonl",
        Attempt(one, Outcome.PASSED, 1.25, services=("backend",)),
        Attempt(two, Outcome.FAILED, cause=Cause.LOGIC, evidence=WRONG),
        Attempt(three, Outcome.FAILED, cause=Cause.INFRASTRUCTURE, evidence=DOWN),
        Attempt(three, Outcome.PASSED),
        Attempt("tests/test_a.py::test_known", Outcome.XFAILED, reason="issue 7"),
        Attempt("tests/test_a.py::test_mended", Outcome.XPASSED, reason="issue 8"),
        *skipped,
        sources={"backend": "process", "llm": "stub", "redis": "absent"},
    )
    backend = write_run(
        directory / "backend.jsonl",
        Attempt(one, Outcome.FAILED, cause=Cause.INFRASTRUCTURE, evidence=DOWN),
        Attempt(two, Outcome.FAILED, cause=Cause.INFRASTRUCTURE, evidence=DOWN),
        Attempt("tests/test_legacy.py::test_it", Outcome.FAILED, cause=Cause.CONTRACT, evidence=LEGACY),
        environment="backend",
        planned=[one, two, "tests/test_legacy.py::test_it", "tests/test_a.py::test_last"],
        findings=[FindingRecord(rule="H304", message="tests/test_c.py could not be collected")],
        end=footer(143, "terminated by SIGTERM"),
    )
    auth = write_run(directory / "auth.jsonl", Attempt(one, Outcome.PASSED), environment="auth")
    gone = MissingRun("staging", "staging (twin)", "pytest ended with exit code 4", "ERROR: no such option: --bogus")
    matrix = Matrix.from_runs([local, backend, auth], [gone])
    return judged(matrix)


def hostile(directory: Path) -> JudgedMatrix:
    """A matrix in which every text that a test may choose is hostile, and so is the query that selected its rows."""
    directory.mkdir(parents=True, exist_ok=True)
    attempts = []
    for text in HOSTILE:
        evidence = Evidence("L401", text, "call", f"{text}:1", exceptions=(text,), detail=text)
        attempts += [
            Attempt(f"tests/{text}.py::test[{text}]", Outcome.FAILED, cause=Cause.LOGIC, evidence=evidence),
            Attempt(f"tests/a.py::skipped[{text}]", Outcome.SKIPPED, reason=text),
            Attempt(f"tests/a.py::known[{text}]", Outcome.XFAILED, reason=text),
        ]
    findings = [FindingRecord(rule="H304", message=text) for text in HOSTILE]
    sources = {text: text for text in HOSTILE} | {f"service {text}": "stub" for text in HOSTILE}
    run = write_run(directory / "r.jsonl", *attempts, findings=findings, label=HOSTILE[1], sources=sources)
    gone = [MissingRun(text, text, text, f"log: {text}") for text in HOSTILE]
    matrix = Matrix.from_runs([run], gone, notes={"local": HOSTILE[1]})
    return judged(replace(matrix, selection=Selection(" ".join(HOSTILE), len(matrix.rows))))


def incomplete(directory: Path) -> JudgedMatrix:
    """A run that was killed: it has no footer, and a test without an end."""
    directory.mkdir(parents=True, exist_ok=True)
    run = write_run(
        directory / "r.jsonl", Attempt("a.py::one", Outcome.PASSED), planned=["a.py::one", "a.py::two"], end=None
    )
    return judged(Matrix.from_runs([run]))


def missing(_: Path) -> JudgedMatrix:
    """An environment that was asked for and left no run."""
    gone = MissingRun("staging", "staging (twin)", "pytest ended with exit code 4", "ERROR: no such option: --bogus")
    return judged(Matrix.from_runs([], [gone]))


def passed(directory: Path, environments: int = 1, files: int = 1) -> JudgedMatrix:
    """Environments in which every test of every file passed."""
    directory.mkdir(parents=True, exist_ok=True)
    attempts = [Attempt(f"tests/test_{number:03}.py::test_it", Outcome.PASSED, 0.5) for number in range(files)]
    names = [f"environment-{number:03}" for number in range(environments)]
    runs = [write_run(directory / f"{name}.jsonl", *attempts, environment=name) for name in names]
    return judged(Matrix.from_runs(runs))


def fifteen(directory: Path) -> JudgedMatrix:
    """Fifteen environments."""
    return passed(directory, 15)


def parts(directory: Path) -> JudgedMatrix:
    """A test of two subtests that failed, one by the product and one by an outage."""
    directory.mkdir(parents=True, exist_ok=True)
    failed = (
        FailedPart("[first] (n=1)", Cause.LOGIC, "L401", "assert 1 == 2", "tests/test_a.py:3"),
        FailedPart("(n=2)", Cause.INFRASTRUCTURE, "I201", "backend is down"),
    )
    evidence = Evidence("L401", "2 subtests failed", "call", "tests/test_a.py:3", parts=failed)
    attempt = Attempt("tests/test_a.py::TestA::test_it[x]", Outcome.FAILED, 1.0, cause=Cause.LOGIC, evidence=evidence)
    return judged(Matrix.from_runs([write_run(directory / "r.jsonl", attempt)]))


SHAPES: dict[str, Callable[[Path], JudgedMatrix]] = {
    each.__name__: each for each in (everything, hostile, incomplete, missing, passed, fifteen, parts)
}
"""The matrices that every format must be able to tell."""
