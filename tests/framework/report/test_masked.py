"""Texts of run files are masked once more before they are written in another format."""

from pathlib import Path

import pytest
from msgspec import structs

from envmatrix.environments import Project
from envmatrix.masking import MASK, MASKER
from envmatrix.matrix.table import Matrix
from envmatrix.report.agent import directory
from envmatrix.report.masked import masked
from envmatrix.report.matrix import badges, comment, ctrf, junit, svg
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.runs.cells import MissingRun
from envmatrix.runs.events import Attempt, Attestation, Evidence, FailedPart, FindingRecord
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping, PingStatus
from tests.framework.report.samples import everything, judged
from tests.framework.run_files import footer, write_run

CANARY = "canary-7f3a9b2c"
TOLD = f"said {CANARY} and postgres://user:{CANARY[::-1]}@db/x"
"""A secret that this process knows, and one that only looks like it."""


def told(tmp_path: Path) -> Matrix:
    """A matrix in which every text holds secrets: its files were written before anybody knew them."""
    ping = Ping(service="backend", status=PingStatus.DOWN, detail=TOLD, identity={"version": TOLD})
    finding = FindingRecord("H304", TOLD, TOLD, TOLD)
    evidence = Evidence(
        *("I201", TOLD, "call", TOLD, (TOLD,), (ping,), (ping,), (TOLD,), {"backend": TOLD}, TOLD, "", (finding,)),
        parts=(FailedPart(TOLD, Cause.LOGIC, "L401", TOLD, TOLD),),
    )
    failed = Attempt("a.py::failed", Outcome.FAILED, reason=TOLD, cause=Cause.INFRASTRUCTURE, evidence=evidence)
    attempts = [failed, failed, Attempt("a.py::skipped", Outcome.SKIPPED, reason=TOLD)]
    run = write_run(tmp_path / "r.jsonl", *attempts, findings=[finding], end=footer(143, TOLD))
    attestation = Attestation(moment="before", services={"backend": ping})
    run = Matrix.from_runs([run], [MissingRun("gone", "gone", TOLD, TOLD)], notes={"local": TOLD})
    (_, column) = run.columns
    object.__setattr__(column.run, "attestations", (attestation,))
    object.__setattr__(column.run, "header", structs.replace(column.run.header, run_options=("--env-file", TOLD)))
    return run


@pytest.mark.fault("canary-secret")
def test_no_format_tells_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that this process knows nor one that looks like it, wherever a run file holds it."""
    masker = type(MASKER)()
    masker.add(CANARY)
    monkeypatch.setattr("envmatrix.report.masked.MASKER", masker)
    matrix = told(tmp_path)
    safe = judged(masked(matrix))
    assert CANARY in ctrf.render(judged(matrix)), "it would be told"
    texts = [ctrf.render(safe), svg.render(safe), comment.render(safe)]
    for files in (junit.render(safe), badges.render(safe), directory.render(safe, Project(root=tmp_path), 200_000)):
        texts += files.values()
    for text in (*texts, repr(safe)):
        assert CANARY not in text
        assert CANARY[::-1] not in text
    assert f"said {MASK} and postgres://user:{MASK}@db/x" in texts[0]


def test_nothing_else_is_changed(tmp_path: Path) -> None:
    """A matrix without secrets is the same afterwards, and its rows still hold the cells of its columns."""
    matrix = everything(tmp_path).matrix
    assert masked(matrix) == matrix


def test_a_masked_cell_is_the_one_of_its_row(tmp_path: Path) -> None:
    """The formats read both, and its outcomes and causes are no mere texts."""
    matrix = masked(told(tmp_path))
    assert JudgedMatrix(matrix, ()).matrix.rows[0].cells[1] is matrix.columns[1].cells["a.py::failed"]
    assert matrix.columns[1].cells["a.py::failed"].attempts[0].outcome is Outcome.FAILED
