"""`envmatrix explain`, as a user types it, and its last line, as a user pastes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envmatrix.__main__ import main
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.bare import Bare, plain_environment
from tests.framework.project import Project
from tests.framework.report.samples import HOSTILE
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


def test_a_query_explains_each_cell_that_it_is_true_of(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As `explain ENV TEST` explains it; every argument is then a run file."""
    monkeypatch.chdir(bare.root)
    wrong = Evidence("L401", "assert 1 == 2", "call")
    for name in ("local", "staging"):
        write_run(
            bare.root / f"{name}.jsonl",
            Attempt("test_a.py::test_one", Outcome.PASSED),
            Attempt("test_a.py::test_two", Outcome.FAILED, cause=Cause.LOGIC, evidence=wrong),
            environment=name,
        )
    files = ("local.jsonl", "staging.jsonl")
    alone = said(capfd, "explain", "staging", "test_two", *files)
    both = said(capfd, "explain", "--query", "failed", *files)
    assert both.startswith("2 cells for: failed\n")
    assert both.endswith(alone)
    assert both.count("The rule that decided: L401") == 2
    document = json.loads(said(capfd, "explain", "--query", "failed in:staging", *files, "--json"))
    assert (document["query"], document["cells"]) == ("failed in:staging", 1)
    assert document["explanations"] == [json.loads(said(capfd, "explain", "staging", "test_two", *files, "--json"))]
    assert said(capfd, "explain", "--query", "flaky", *files) == "0 cells for: flaky\n"


@pytest.mark.fault("hostile-test-name")
def test_of_many_cells_the_first_are_explained(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And it is said how many there are; whatever the tests and the query are called, nothing acts."""
    monkeypatch.chdir(bare.root)
    tests = [f"test_a.py::test[{number}-{name}]" for number, name in enumerate(HOSTILE * 2)]
    write_run(bare.root / "local.jsonl", *(Attempt(test, Outcome.PASSED) for test in tests))
    out = said(capfd, "explain", "--query", 'passed -"\x1b[31m\u202e"', "local.jsonl")
    head, *_ = out.splitlines()
    assert head == (
        rf'{len(tests)} cells for: passed -"\x1b[31m\u202e"; the first 20 are explained, a narrower query shows others'
    )
    assert out.count("Run exactly this again") == 20
    assert out.replace("\n", "").isprintable()


@pytest.mark.parametrize("words", [(), ("local",), ("local", "test_one", "--against", "last")])
def test_no_cell_is_exit_2(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words
) -> None:
    """A cell needs both names, and only a query compares."""
    monkeypatch.chdir(bare.root)
    with pytest.raises(SystemExit) as ended:
        main(["explain", *words])
    assert ended.value.code == 2
    assert capfd.readouterr().err.startswith("error: no cell is named. Name one by ENV and TEST, or several by --query")


def said(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command line prints in this process, where it ends well."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capfd.readouterr()
    assert (ended.value.code, err) == (0, "")
    return out
