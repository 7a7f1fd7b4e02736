"""The interpreter and the directory of an environment's suite."""

from __future__ import annotations

import sys
from importlib.metadata import version

import pytest

from envmatrix.exceptions import DeclarationError
from envmatrix.runner.plan import make_plan
from envmatrix.runs.directory import RunDir
from envmatrix.runs.file import read_run
from tests.framework.bare import BARE_TOML, Bare


@pytest.fixture(autouse=True)
def _here(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bare.root)
    bare.declare("local")


def interpreter(bare: Bare, program: str) -> None:
    """Declare an interpreter that answers like this."""
    bare.write("old/bin/python", f"#!/bin/sh\n{program}\n").chmod(0o755)
    bare.write("environments/local.toml", BARE_TOML + '[pytest]\npython = "old/bin/python"\ndirectory = "old"\n')


def test_a_suite_elsewhere_is_run_there_by_its_own_interpreter(bare: Bare) -> None:
    """With the settings and the suite that are there, and the project's own table; a list of runs stays the project's."""
    interpreter(bare, f"echo {version('envmatrix')}")
    plan = make_plan(["local"])
    job = plan.job(plan.environments[0], RunDir.create(bare.root / ".envmatrix/runs", plan.labels))
    assert (job.command[0], job.cwd) == (str(bare.root / "old/bin/python"), bare.root / "old")
    assert f"--matrix-project={bare.root}" in job.command
    assert "suite" not in job.command


def test_a_run_elsewhere_is_the_projects(bare: Bare) -> None:
    """The run file is the project's, and the command to run a test again finds it there."""
    bare.write("old/pyproject.toml", '[tool.pytest.ini_options]\npython_files = ["check_*.py"]\n')
    bare.write("old/check_a.py", "def test_a(): assert 0\n")
    bare.write("environments/local.toml", BARE_TOML + '[pytest]\ndirectory = "old"\n')
    assert bare.run("run", "local").returncode == 1
    run = read_run(bare.last / "local.jsonl")
    assert (list(run.cells), run.header.directory, run.header.narrowed) == (["check_a.py::test_a"], "old", ())
    again = bare.run("explain", "local", "test_a").stdout
    assert "envmatrix run local -- check_a.py::test_a" in again
    assert "There is no" not in again


def test_our_own_suite_needs_none_of_it(bare: Bare) -> None:
    """`envmatrix validate` runs in the project, with the interpreter that it was called with."""
    from dataclasses import replace

    interpreter(bare, f"echo {version('envmatrix')}")
    plan = replace(make_plan(["local"]), is_ours=True)
    job = plan.job(plan.environments[0], RunDir.create(bare.root / ".envmatrix/runs", plan.labels))
    assert (job.command[0], job.cwd) == (sys.executable, bare.root)
    assert "--matrix-plain" in job.command


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("exit 1", "has no envmatrix. Install it beside the suite: "),
        ("echo 0.0.7", f"has envmatrix 0.0.7, and this is {version('envmatrix')}. Install it beside the suite: "),
    ],
)
def test_an_interpreter_without_our_plugin_is_refused_before_anything_runs(program: str, why: str, bare: Bare) -> None:
    """With the command that installs it."""
    interpreter(bare, program)
    with pytest.raises(DeclarationError) as caught:
        make_plan(["local"])
    assert why in str(caught.value)
    assert str(caught.value).endswith(
        f"{bare.root / 'old/bin/python'} -m pip install envmatrix=={version('envmatrix')}"
    )


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ('directory = "gone"', "pytest.directory: there is no directory {root}/gone"),
        ('python = "gone/python"', "pytest.python: {root}/gone/python cannot be run: No such file or directory"),
        ('python = "python-gone"', "pytest.python: python-gone cannot be run: No such file or directory"),
    ],
)
def test_what_is_not_there_is_refused(key: str, why: str, bare: Bare) -> None:
    """Before anything runs."""
    bare.write("environments/local.toml", f"{BARE_TOML}[pytest]\n{key}\n")
    with pytest.raises(DeclarationError) as caught:
        make_plan(["local"])
    assert why.format(root=bare.root) in str(caught.value)
