"""The JSON document."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from envmatrix.matrix.table import Matrix
from envmatrix.report.matrix.json_ import SCHEMA, MatrixDocument, render
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.samples import HOSTILE, everything, hostile, judged


def test_the_document_holds_everything(tmp_path: Path) -> None:
    """Every environment with its verdict, every test with every cell, nothing shortened."""
    document = json.loads(render(everything(tmp_path)))
    assert document["schema"] == SCHEMA
    assert document["exit_code"] == 1
    assert [(entry["name"], entry["answer"]) for entry in document["environments"]] == [
        ("auth", "compatible"),
        ("backend", "incompatible"),
        ("local", "incompatible"),
        ("staging", "unknown"),
    ]
    staging = document["environments"][3]
    assert (staging["label"], staging["run_id"], staging["complete"]) == ("staging (twin)", None, False)
    assert staging["reasons"][0]["text"] == "pytest ended with exit code 4"
    assert staging["log_tail"] == "ERROR: no such option: --bogus"
    cells = {test["id"].partition("::")[2]: test["cells"] for test in document["tests"]}
    assert cells["test_one"]["local"] == {
        "outcome": "passed",
        "cause": None,
        "reason": "",
        "duration": 1.25,
        "attempts": 1,
        "services": ["backend"],
        "evidence": None,
        "reused_from": None,
    }
    assert cells["test_two"]["local"]["evidence"]["detail"] == "long"
    assert (cells["test_three"]["local"]["outcome"], cells["test_three"]["local"]["attempts"]) == (Outcome.FLAKY, 2)
    assert cells["test_it"]["backend"]["cause"] == Cause.CONTRACT
    assert cells["test_it"]["staging"] is None


@pytest.mark.fault("hostile-test-name")
def test_every_text_survives_and_nothing_acts(tmp_path: Path) -> None:
    """ASCII only, no control character but the newlines of the layout; read again, each name is what it was."""
    text = render(hostile(tmp_path))
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    names = {test["id"] for test in json.loads(text)["tests"]}
    assert {f"tests/{hostile}.py::test[{hostile}]" for hostile in HOSTILE} <= names


def test_the_document_keeps_its_own_schema(tmp_path: Path) -> None:
    """What is written is read by the models that are the schema."""
    text = render(everything(tmp_path))
    assert MatrixDocument.model_validate(json.loads(text)).model_dump(mode="json") == json.loads(text)


def test_the_order_of_the_runs_does_not_matter(tmp_path: Path) -> None:
    """The same runs give the same bytes."""
    matrix, _ = everything(tmp_path)
    missing = [column.run for column in matrix.columns if column.run not in matrix.runs]
    again = Matrix.from_runs(reversed(matrix.runs), missing)
    assert render(judged(again)) == render(judged(matrix))


def test_the_schema_can_be_printed() -> None:
    """As JSON Schema, by the module itself."""
    ended = subprocess.run(
        [sys.executable, "-m", "envmatrix.report.matrix.json_"], capture_output=True, text=True, timeout=30, check=True
    )
    assert {"schema", "exit_code", "environments", "tests", "selection"} == set(json.loads(ended.stdout)["properties"])
