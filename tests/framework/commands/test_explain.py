"""`envmatrix explain`, as a user types it, and its last line, as a user pastes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envmatrix.__main__ import main
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Outcome
from tests.framework.bare import Bare, plain_environment
from tests.framework.project import Project
from tests.framework.run_files import write_run

SUITE = """
import pytest

@pytest.mark.parametrize("path", ["/health", "/$HOME 'a' [b::c]"])
def test_asks(real_services, path):
    assert real_services.http_client_sync.get(path).status_code == 200
    assert "HOME" not in path
"""


def shell(line: str, directory: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    """Run a line as a person does who pasted it, with `envmatrix` on the path."""
    tools.mkdir(exist_ok=True)
    command = tools / "envmatrix"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m envmatrix "$@"\n')
    command.chmod(0o755)
    environment = plain_environment()
    environment |= {"PATH": os.pathsep.join((str(tools), environment["PATH"]))}
    return subprocess.run(
        line, shell=True, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_red_cell_is_explained_and_run_again_by_the_printed_line(project: Project, tmp_path: Path) -> None:
    """A real run: the story ends in a command that runs exactly this cell, quoted for a shell. Takes two real runs."""
    project.write("test_a.py", SUITE)
    tools = tmp_path / "tools"
    shell("envmatrix run tiny -- -p no:valkey", project.root, tools)
    told = shell("envmatrix explain tiny HOME", project.root, tools)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("test_a.py::test_asks[/$HOME 'a' [b::c]]\nfailed in tiny: logic L401: Assert")
    for part in ("GET /$HOME 'a' [b::c] → 200", "backend (process)  up", "The rule that decided: L401"):
        assert part in told.stdout
    line = told.stdout.splitlines()[-1].strip()
    again = shell(line, project.root, tools)
    assert "1 failed in" in again.stdout, again.stdout + again.stderr
    alone = shell("envmatrix explain tiny test_asks", project.root, tools)
    assert alone.stdout.splitlines()[-1].strip() == line, "the last run holds this cell alone"


def test_the_last_run_is_explained_from_anywhere_in_the_project(bare: Bare) -> None:
    """Text and document say the same; the printed line works from there, too. Takes two real runs."""
    bare.write("suite/test_a.py", "def test_a(): assert 1 == 2")
    bare.run("run", "local")
    told = bare.run("explain", "local", "test_a", where="suite")
    assert told.returncode == 0, told.stderr
    assert "failed in local: logic L401: AssertionError: assert 1 == 2" in told.stdout
    document = json.loads(bare.run("explain", "local", "test_a", "--json", where="suite").stdout)
    assert document["headline"] in told.stdout
    assert document["rerun"] == told.stdout.splitlines()[-1].strip()
    again = shell(document["rerun"], bare.root / "suite", bare.root / "tools")
    assert "1 failed in" in again.stdout, again.stdout + again.stderr


@pytest.mark.fault("typo-environment")
def test_what_cannot_be_found_is_exit_2(
    bare: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An environment, a test, a file: each with the nearest spelling or the names to choose from."""
    monkeypatch.chdir(bare.root)
    files = tmp_path / "runs"
    attempts = (
        Attempt("suite/test_a.py::test_one", Outcome.PASSED),
        Attempt("suite/test_a.py::test_two", Outcome.PASSED),
    )
    write_run(files / "local.jsonl", *attempts)
    for words, line in (
        (("lokal", "test_one", str(files)), "error: no run of an environment 'lokal' here. Did you mean 'local'?\n"),
        (("local", "test_tow", str(files)), "Did you mean 'suite/test_a.py::test_two'?\n"),
        (
            ("local", "test_", str(files)),
            "error: 2 tests match 'test_'. Name one of them:\n  suite/test_a.py::test_one\n",
        ),
        (("local", "test_one", "gone.jsonl"), "error: no run file gone.jsonl."),
        (("local", "test_one"), "Make one: envmatrix matrix\n"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["explain", *words])
        out, err = capfd.readouterr()
        assert (ended.value.code, out) == (2, "")
        assert line in err
