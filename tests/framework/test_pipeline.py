"""The CI workflow, run here job by job: each in a directory of its own, with nothing but its artifacts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOW = Path(__file__).parents[2] / ".github/workflows/matrix.yml"

SHIMS = {
    "envmatrix": f'exec "{sys.executable}" -m test_framework "$@"\n',
    # nox -s "environment(NAME)" -- WORDS, without the minutes that an installation takes
    "nox": f'name=${{2#environment(}}; shift 3; exec "{sys.executable}" -m test_framework run "${{name%)}}" "$@"\n',
}
"""What stands in for the virtual environment's own commands."""

TESTS = """
import pytest

@pytest.mark.parametrize("number", range(4))
def test_number(number, request):
    assert number != {wrong} or request.config.getoption("--matrix-environment") != "staging"
"""


@dataclass
class Job:
    """One job that ran."""

    exit_code: int
    output: str
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass
class Pipeline:
    """A workflow, a project, and the artifacts that jobs hand to each other."""

    root: Path
    project: Path
    shards: int = 2
    fork: str = ""
    artifacts: dict[str, Path] = field(default_factory=dict)

    def run(self, name: str, **known: str) -> Job:
        """Run one job of the workflow; `known` are values of expressions."""
        spec = yaml.safe_load(WORKFLOW.read_text())["jobs"][name]
        here = self.root / f"job-{len(list(self.root.iterdir()))}"
        here.mkdir()
        job = Job(0, "")
        files = {"GITHUB_OUTPUT": here.with_suffix(".out"), "GITHUB_STEP_SUMMARY": here.with_suffix(".md")}
        for file in files.values():
            file.touch()
        for step in spec["steps"]:
            if job.exit_code and "cancelled()" not in str(step.get("if")):
                continue
            if "uses" in step:
                self._action(step, here, known)
            elif "pip install" not in step["run"]:
                code, output = self._shell(step, here, {**known, **self._own()}, files)
                job.exit_code, job.output = job.exit_code or code, job.output + output
        pairs = (line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        job.outputs, job.summary = dict(pairs), files["GITHUB_STEP_SUMMARY"].read_text()
        return job

    def _own(self) -> dict[str, str]:
        return {
            "inputs.shards || 1": str(self.shards),
            "github.event.pull_request.head.repo.fork && '--untrusted' || ''": self.fork,
        }

    def _action(self, step: Mapping[str, Any], here: Path, known: Mapping[str, str]) -> None:
        action = step["uses"].partition("@")[0]
        given = {key: _filled(str(value), known) for key, value in step.get("with", {}).items()}
        if action == "actions/checkout":
            shutil.copytree(self.project, here, dirs_exist_ok=True)
            (here / ".venv/bin").mkdir(parents=True)
            for name, text in SHIMS.items():
                shim = here / ".venv/bin" / name
                shim.write_text(f"#!/bin/bash\n{text}")
                shim.chmod(0o755)
        elif action == "actions/upload-artifact":
            found = [path for pattern in given["path"].split() for path in sorted(here.glob(pattern))]
            kept = self.artifacts[given["name"]] = self.root / f"artifact-{given['name']}"
            kept.mkdir()
            for path in found:
                shutil.copytree(path, kept, dirs_exist_ok=True) if path.is_dir() else shutil.copy(path, kept)
            assert found or given.get("if-no-files-found") != "error"
        elif action == "actions/download-artifact":
            for name, path in self.artifacts.items():
                shutil.copytree(path, here / given["path"] / name)
        else:
            assert action == "actions/setup-python"

    @staticmethod
    def _shell(
        step: Mapping[str, Any], here: Path, known: Mapping[str, str], files: Mapping[str, Path]
    ) -> tuple[int, str]:
        given = {name: _filled(str(value), known) for name, value in step.get("env", {}).items()}
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MATRIX", "CI_NODE"))}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=here,
            env={**env, **given, **{name: str(path) for name, path in files.items()}},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


def _filled(text: str, known: Mapping[str, str]) -> str:
    """Fill in expressions; one that nobody here knows fails the test, a secret is empty as in a fork."""

    def value(match: re.Match[str]) -> str:
        return "" if match[1].startswith("secrets.") else known[match[1]]

    return re.sub(r"\$\{\{ (.*?) \}\}", value, text)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """A project with two environments without services, in which every test passes."""
    project = tmp_path / "project"
    (project / "environments").mkdir(parents=True)
    for name in ("local", "staging"):
        (project / f"environments/{name}.toml").write_text('[services.redis]\nkind = "redis"\nsource = "absent"\n')
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-p no:valkey'\n")
    (project / "test_numbers.py").write_text(TESTS.format(wrong="None"))
    runs = tmp_path / "runs"
    runs.mkdir()
    return Pipeline(runs, project)


def run_environments(pipeline: Pipeline, *, but: str = "") -> list[Job]:
    """Run the plan, then every job that it plans, but one."""
    planned = pipeline.run("plan")
    assert planned.exit_code == 0, planned.output
    jobs = json.loads(planned.outputs["jobs"])["include"]
    return [
        pipeline.run("environment", **{f"matrix.{key}": str(value) for key, value in job.items()})
        for job in jobs
        if f"{job['environment']} {job['shard']}" != but
    ]


def test_a_change_that_breaks_nothing_gets_through(pipeline: Pipeline) -> None:
    """Two environments in two shards each; the last job puts them together and decides."""
    assert [job.exit_code for job in run_environments(pipeline)] == [0, 0, 0, 0]
    last = pipeline.run("matrix")
    assert last.exit_code == 0, last.output
    assert "gate  open" in last.output
    assert "| **verdict** | ✅ **compatible** | ✅ **compatible** |" in last.summary
    assert "::error" not in last.output


def test_a_regression_is_stopped_and_stands_on_the_diff(pipeline: Pipeline) -> None:
    """The job of its shard fails, the last one runs all the same, shows the line and shuts the gate."""
    (pipeline.project / "test_numbers.py").write_text(TESTS.format(wrong="2"))
    assert sorted(job.exit_code for job in run_environments(pipeline)) == [0, 0, 0, 1]
    last = pipeline.run("matrix")
    assert last.exit_code == 1, last.output
    assert "::error file=test_numbers.py,line=6,title=staging%3A logic L401::" in last.output
    assert "gate  shut" in last.output


@pytest.mark.fault("missing-shard")
def test_a_lost_artifact_is_unknown(pipeline: Pipeline) -> None:
    """A shard that nobody hears of again keeps the gate from opening, whatever the others say."""
    run_environments(pipeline, but="staging 2/2")
    last = pipeline.run("matrix")
    assert last.exit_code == 3, last.output
    assert "2/2" in last.output


@pytest.mark.fault("missing-shard")
def test_a_lost_environment_is_unknown(pipeline: Pipeline) -> None:
    """All shards of it gone: the plan's manifest still knows that it was asked for."""
    pipeline.shards = 1
    run_environments(pipeline, but="staging 1/1")
    last = pipeline.run("matrix")
    assert last.exit_code == 3, last.output
    assert "staging" in last.output


def test_a_fork_gets_no_secrets_and_is_told(pipeline: Pipeline) -> None:
    """What needs them is no job, and a column that says why."""
    pipeline.shards, pipeline.fork = 1, "--untrusted"
    (pipeline.project / "environments/staging.toml").write_text(
        '[services.backend]\nkind = "http"\nsource = "remote"\nurl = "${STAGING_URL}"\n'
    )
    assert len(run_environments(pipeline)) == 1
    last = pipeline.run("matrix")
    assert last.exit_code == 3
    assert "untrusted: secrets are not given to forks" in last.summary
