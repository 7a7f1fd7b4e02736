"""The page as a file: what it embeds is what the run files say, inert, masked and the same each time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from envmatrix.environments import Project
from envmatrix.masking import MASK, Masker
from envmatrix.matrix.table import Matrix
from envmatrix.report.explain.explanation import Explainer
from envmatrix.report.explain.text import as_json
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.report.page import masked
from envmatrix.report.page.data import CAUSE_LETTERS, LETTERS
from envmatrix.report.page.html import render
from envmatrix.report.page.source import PageSource
from envmatrix.report.text import first_line
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping, PingStatus
from tests.framework.report.page.chunks import chunks, packed_chunks, tags
from tests.framework.report.samples import HOSTILE, everything, hostile, judged
from tests.framework.run_files import write_run

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CANARY = "canary-51f0c8e2b7"


def source(matrix: JudgedMatrix, root: Path, **more: Any) -> PageSource:
    """What a page of a matrix is made from, in a project with nothing declared."""
    return PageSource(matrix, Project(root=root), NOW, **more)


def rendered(matrix: JudgedMatrix, root: Path) -> str:
    """The page of a matrix."""
    return render(source(matrix, root))


def test_every_cell_is_in_the_page_as_the_runs_have_it(tmp_path: Path) -> None:
    """Outcome, cause, duration, attempts and text, cell by cell."""
    matrix, verdicts = everything(tmp_path)
    made = chunks(render(source(JudgedMatrix(matrix, verdicts), tmp_path)))
    page, grid = made["page"], made["grid"]
    assert [each["name"] for each in page["environments"]] == [column.environment for column in matrix.columns]
    assert [each["answer"] for each in page["environments"]] == [verdict.answer for verdict in verdicts]
    files = [name for name, rows, _ in grid["files"] for _ in range(rows)]
    assert [f"{file}::{name}" for file, name in zip(files, grid["names"], strict=True)] == [
        row.test for row in matrix.rows
    ]
    assert page["tests"] == len(matrix.rows)
    for place, column in enumerate(grid["columns"]):
        more = dict(
            zip(column["rows"], zip(column["text"], column["rule"], column["attempts"], strict=True), strict=True)
        )
        for number, row in enumerate(matrix.rows):
            cell = row.cells[place]
            assert column["outcomes"][number] == LETTERS[cell.outcome if cell else None]
            assert column["causes"][number] == CAUSE_LETTERS[cell.cause if cell else None]
            assert column["durations"][number] == pytest.approx(cell.duration * 1000 if cell else 0, abs=0.5)
            assert (number in more) == bool(cell and (cell.evidence or cell.reason or len(cell.attempts) > 1))
            if cell and number in more:
                text, rule, attempts = more[number]
                assert grid["texts"][text] == (cell.evidence.summary if cell.evidence else cell.reason)
                assert rule == (grid["rules"].index(cell.evidence.rule) if cell.evidence else -1)
                assert attempts == len(cell.attempts)


def test_a_service_says_after_how_many_failures_it_was_down(tmp_path: Path) -> None:
    """The first look at it tells nothing of an outage in the middle of the run."""
    pings = (Ping(service="redis", status=PingStatus.DOWN), Ping(service="database", status=PingStatus.UP))
    failed = [
        Attempt(f"a.py::{name}", Outcome.FAILED, cause=Cause.INFRASTRUCTURE, evidence=Evidence("I201", "", pings=pings))
        for name in "ab"
    ]
    run = write_run(tmp_path / "local.jsonl", *failed, sources={"database": "embedded", "redis": "embedded"})
    made = chunks(render(source(judged(Matrix.from_runs([run])), tmp_path)))
    services = made["page"]["environments"][0]["services"]
    assert {each["name"]: each["down"] for each in services} == {"database": 0, "redis": 2}


def test_an_explanation_is_that_of_the_command(tmp_path: Path) -> None:
    """Of every cell that has evidence, in the block that the grid names."""
    report = everything(tmp_path)
    matrix = report.matrix
    made = chunks(render(source(report, tmp_path)))
    seen = 0
    for place, column in enumerate(matrix.columns):
        explainer = Explainer(matrix, column, Project(root=tmp_path))
        described = made["grid"]["columns"][place]
        for row, block in zip(described["rows"], described["block"], strict=True):
            if block >= 0:
                explanation = made[f"details-{block}"][str(place)][str(row)]
                assert explanation == json.loads(as_json(explainer.explain(matrix.rows[row].test)))
                seen += 1
    assert seen == 6
    assert len([name for name in made if name.startswith("details-")]) == made["page"]["blocks"] == 1


def test_many_explanations_stand_in_blocks_and_name_few_that_are_alike(tmp_path: Path) -> None:
    """Otherwise each of hundreds would name all others."""
    evidence = Evidence("L401", "AssertionError: assert 1 == 2")
    attempts = [Attempt(f"a.py::t{n}", Outcome.FAILED, cause=Cause.LOGIC, evidence=evidence) for n in range(250)]
    matrix = Matrix.from_runs([write_run(tmp_path / "r.jsonl", *attempts)])
    made = chunks(render(source(judged(matrix), tmp_path)))
    assert made["page"]["blocks"] == 3
    assert set(made["grid"]["columns"][0]["block"]) == {0, 1, 2}
    explanation = made["details-2"]["0"]["249"]
    assert (len(explanation["alike"]), explanation["alike_more"]) == (5, 244)


def test_the_same_runs_and_clock_give_the_same_bytes(tmp_path: Path) -> None:
    """Compression has no clock of its own."""
    report = everything(tmp_path)
    again = JudgedMatrix(
        Matrix.from_runs(reversed(report.matrix.runs), [report.matrix.columns[3].run]), report.verdicts
    )
    page = render(source(report, tmp_path))
    assert page == render(source(again, tmp_path))
    assert {packed[4:8] for packed in packed_chunks(page)} == {bytes(4)}


@pytest.mark.fault("hostile-test-name")
def test_every_text_survives_and_none_is_markup(tmp_path: Path) -> None:
    """The page has the tags of its template and no other; read again, each name is what it was, half a pair included."""
    page = render(source(hostile(tmp_path), tmp_path))
    template = resources.files("envmatrix.report.page").joinpath("page.html").read_text()
    assert tags(page) == tags(template)
    made = chunks(page)
    assert {first_line(text) for text in HOSTILE if len(text) < 1000} <= set(made["grid"]["texts"])
    files = [name for name, rows, _ in made["grid"]["files"] for _ in range(rows)]
    names = {f"{file}::{name}" for file, name in zip(files, made["grid"]["names"], strict=True)}
    assert {f"tests/{text}.py::test[{text}]" for text in HOSTILE if "::" not in text} <= names


@pytest.mark.fault("canary-secret")
def test_a_secret_is_masked_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that was not known when the run was recorded, and what only looks like a credential, wherever they stand."""
    masker = Masker()
    masker.add(CANARY)
    monkeypatch.setattr(masked, "MASKER", masker)
    evidence = Evidence(
        "L401",
        f"wrong: {CANARY}",
        exceptions=(f"ValueError: {CANARY}",),
        exchanges=("GET http://me:hunter2-pass@host/ → 500",),
        logs={"backend": f"Authorization: Bearer {'x' * 40}\n{CANARY}"},
        detail=f"token = {CANARY}",
    )
    run = write_run(
        tmp_path / "r.jsonl",
        Attempt(f"a.py::test[{CANARY}]", Outcome.FAILED, cause=Cause.LOGIC, evidence=evidence),
        Attempt("a.py::test[\udc80]", Outcome.SKIPPED, reason=CANARY),
    )
    made = repr(chunks(render(source(judged(Matrix.from_runs([run])), tmp_path))))
    for secret in (CANARY, "hunter2-pass", "x" * 40):
        assert secret not in made
    assert MASK in made
