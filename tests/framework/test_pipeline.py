"""Runs the CI workflow job by job, each in a directory of its own, with nothing but its artifacts."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from envmatrix.history.objects import Directory
from envmatrix.history.parquet import export
from envmatrix.history.rows import rows_of
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Outcome
from tests.framework.bare import plain_environment
from tests.framework.run_files import write_run

WORKFLOW = Path(__file__).parents[2] / ".github/workflows/matrix.yml"

SHIMS = {
    "envmatrix": f'exec "{sys.executable}" -m envmatrix "$@"\n',
    # nox -s "environment(NAME)" -- WORDS, without the minutes that an installation takes
    # api lists the pipelines that kept their runs; run download ID --repo REPO --name history --dir DIR brings these
    "gh": 'if [ "$1" = api ]; then ls "$KEPT" 2> /dev/null; else mkdir -p "$9" && cp -r "$KEPT/$3/." "$9"; fi\n',
    "nox": f'name=${{2#environment(}}; shift 3; exec "{sys.executable}" -m envmatrix run "${{name%)}}" "$@"\n',
}
"""Stand-ins for the virtual environment's commands."""

TESTS = """
import pytest

@pytest.mark.parametrize("number", range(4))
def test_number(number, request):
    assert number != {wrong} or request.config.getoption("--matrix-environment") != "staging"
"""


@dataclass
class Job:
    """The result of one job."""

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
    base: str = ""
    is_default_branch: bool = False
    artifacts: dict[str, Path] = field(default_factory=dict)
    cache: Path | None = None
    """What the last pipeline on the default branch has saved."""

    @property
    def kept(self) -> Path:
        """Where the artifacts of runs of earlier pipelines are."""
        return self.root.with_name("kept")

    def git(self, *words: str) -> str:
        """Call git in the project; return what it prints."""
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
        done = subprocess.run(command, cwd=self.project, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.strip()

    def commit(self) -> None:
        """Commit the project as it is."""
        self.git("add", "-A")
        self.git("commit", "-qm", "all")

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
            condition = str(step.get("if"))
            if (job.exit_code and "cancelled()" not in condition) or (
                "github.event.repository.default_branch" in condition and not self.is_default_branch
            ):
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
            "github.event.pull_request.base.sha || github.event.before": self.base,
            "github.event.pull_request.base.sha": self.base,
            "github.event.repository.default_branch": "main",
            "github.token": "token",
        }

    def _action(self, step: Mapping[str, Any], here: Path, known: Mapping[str, str]) -> None:
        ours = {"github.run_id": "1", "github.run_attempt": "1"}
        given = {key: _filled(str(value), {**known, **ours}) for key, value in step.get("with", {}).items()}
        actions = {
            "actions/checkout": self._checkout,
            "actions/setup-python": lambda _, __: None,
            "actions/upload-artifact": self._upload,
            "actions/download-artifact": self._download,
            "actions/cache/restore": self._restore,
            "actions/cache/save": self._save,
        }
        actions[step["uses"].partition("@")[0]](here, given)

    def _checkout(self, here: Path, _: Mapping[str, str]) -> None:
        shutil.copytree(self.project, here, dirs_exist_ok=True)
        (here / ".venv/bin").mkdir(parents=True)
        for name, text in SHIMS.items():
            shim = here / ".venv/bin" / name
            shim.write_text(f"#!/bin/bash\n{text}")
            shim.chmod(0o755)

    def _upload(self, here: Path, given: Mapping[str, str]) -> None:
        found = [path for pattern in given["path"].split() for path in sorted(here.glob(pattern))]
        assert found or given.get("if-no-files-found") != "error"
        if found:
            kept = self.artifacts[given["name"]] = self.root / f"artifact-{given['name']}"
            kept.mkdir()
            for path in found:
                shutil.copytree(path, kept, dirs_exist_ok=True) if path.is_dir() else shutil.copy(path, kept)

    def _download(self, here: Path, given: Mapping[str, str]) -> None:
        patterns = given["pattern"].strip("{}").split(",")
        wanted = [name for name in self.artifacts for pattern in patterns if fnmatch.fnmatch(name, pattern)]
        for name in wanted:  # one alone gets no directory of its own
            to = here / given["path"] / (name if len(wanted) > 1 else "")
            shutil.copytree(self.artifacts[name], to, dirs_exist_ok=True)

    def _restore(self, here: Path, given: Mapping[str, str]) -> None:
        assert given["key"].startswith(given["restore-keys"])
        if self.cache is not None:
            shutil.copytree(self.cache, here, dirs_exist_ok=True)

    def _save(self, here: Path, given: Mapping[str, str]) -> None:
        self.cache = self.root.with_name("cache")
        shutil.rmtree(self.cache, ignore_errors=True)
        for path in (here / name for name in given["path"].split()):
            to = self.cache / path.relative_to(here)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(path, to) if path.is_dir() else shutil.copy(path, to)

    def next(self) -> None:
        """Begin another pipeline: of the last one there is nothing but what it saved in the cache."""
        shutil.rmtree(self.root)
        self.root.mkdir()
        self.artifacts.clear()

    def _shell(
        self, step: Mapping[str, Any], here: Path, known: Mapping[str, str], files: Mapping[str, Path]
    ) -> tuple[int, str]:
        given = {name: _filled(str(value), known) for name, value in step.get("env", {}).items()}
        env = {key: value for key, value in plain_environment().items() if not key.startswith("CI_NODE")}
        env |= {"GITHUB_REPOSITORY": "us/ours", "KEPT": str(self.kept), "PATH": f"{here}/.venv/bin:{env['PATH']}"}
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
    """Fill in expressions; an unknown one fails the test, a secret is empty as in a fork."""

    def value(match: re.Match[str]) -> str:
        return "" if match[1].startswith("secrets.") else known[match[1]]

    return re.sub(r"\$\{\{ (.*?) \}\}", value, text)


def make_pipeline(root: Path) -> Pipeline:
    """Write a project with two environments without services, in which every test passes."""
    project = root / "project"
    (project / "environments").mkdir(parents=True)
    for name in ("local", "staging"):
        (project / f"environments/{name}.toml").write_text('[services.redis]\nkind = "redis"\nsource = "absent"\n')
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-p no:valkey'\n")
    (project / "test_numbers.py").write_text(TESTS.format(wrong="None"))
    (project / ".gitignore").write_text(".*/\n__pycache__/\n")
    runs = root / "runs"
    runs.mkdir()
    pipeline = Pipeline(runs, project)
    pipeline.git("init", "-q")
    pipeline.commit()
    pipeline.base = pipeline.git("rev-parse", "HEAD")
    return pipeline


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """A pipeline in which no job has run."""
    return make_pipeline(tmp_path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Two environments in two shards each: all jobs but the last have run, and all is well."""
    pipeline = make_pipeline(tmp_path_factory.mktemp("pipeline"))
    assert [job.exit_code for job in run_environments(pipeline)] == [0, 0, 0, 0]
    return pipeline


def last_job(ran: Pipeline, root: Path, *, lost: str = "") -> Job:
    """Run the last job with the artifacts that the others have left, but for those of this pattern."""
    kept = {name: path for name, path in ran.artifacts.items() if not fnmatch.fnmatch(name, lost)}
    assert bool(lost) == (len(kept) < len(ran.artifacts))
    return replace(ran, root=root, artifacts=kept).run("matrix")


def run_environments(pipeline: Pipeline) -> list[Job]:
    """Run the plan, then every job that it plans."""
    planned = pipeline.run("plan")
    assert planned.exit_code == 0, planned.output
    jobs = json.loads(planned.outputs["jobs"])["include"]
    return [pipeline.run("environment", **{f"matrix.{key}": str(value) for key, value in job.items()}) for job in jobs]


def test_a_change_that_breaks_nothing_gets_through(ran: Pipeline, tmp_path: Path) -> None:
    """Two environments in two shards each; the last job puts them together and decides."""
    last = last_job(ran, tmp_path)
    assert last.exit_code == 0, last.output
    assert "gate  open" in last.output
    assert "| **verdict** | ✅ **compatible** | ✅ **compatible** |" in last.summary
    assert "::error" not in last.output


def test_the_health_of_each_environment_stands_in_a_summary(pipeline: Pipeline) -> None:
    """Before its suite, once for all its shards; an environment without a service that answers is not called well."""
    planned = json.loads(pipeline.run("plan").outputs["environments"])["include"]
    assert [each["environment"] for each in planned] == ["local", "staging"]
    health = pipeline.run("health", **{"matrix.environment": "local"})
    assert (health.exit_code, health.output) == (3, "")
    assert health.summary.startswith("## ❔ Health of `local`: unknown")


def test_a_fixture_that_is_out_of_sight_stands_on_the_diff(pipeline: Pipeline) -> None:
    """Before anything is run; the summary says what the change can break, and because of what."""
    assert pipeline.run("audit").exit_code == 0
    (pipeline.project / "test_more.py").write_text("def test_more(nowhere):\n    assert nowhere\n")
    audit = pipeline.run("audit")
    assert audit.exit_code == 1, audit.output
    assert "::error file=test_more.py,line=1,title=EM101::" in audit.output
    assert "test_more.py" in audit.summary


def test_a_regression_is_stopped_and_stands_on_the_diff(pipeline: Pipeline) -> None:
    """The job of its shard fails, the last one runs all the same, shows the line and shuts the gate."""
    (pipeline.project / "test_numbers.py").write_text(TESTS.format(wrong="2"))
    assert sorted(job.exit_code for job in run_environments(pipeline)) == [0, 0, 0, 1]
    last = pipeline.run("matrix")
    assert last.exit_code == 1, last.output
    assert "::error file=test_numbers.py,line=6,title=staging%3A logic L401::" in last.output
    assert "gate  shut" in last.output


@pytest.mark.fault("missing-shard")
def test_a_lost_artifact_is_unknown(ran: Pipeline, tmp_path: Path) -> None:
    """A lost shard keeps the gate from opening, however the others end."""
    last = last_job(ran, tmp_path, lost="run-staging-2")
    assert last.exit_code == 3, last.output
    assert "2/2" in last.output


@pytest.mark.fault("missing-shard")
def test_a_lost_environment_is_unknown(ran: Pipeline, tmp_path: Path) -> None:
    """All shards of it gone: the plan's manifest still knows that it was asked for, and so do the formats that others read."""
    last = last_job(ran, tmp_path, lost="run-staging-*")
    assert last.exit_code == 3, last.output
    assert "staging" in last.output
    report = tmp_path / "artifact-report"
    assert sorted(path.name for path in report.iterdir()) == [
        *("agent", "badges", "comment.md", "ctrf.json", "junit", "matrix.html", "matrix.svg")
    ]
    assert (report / "comment.md").read_text().startswith("## ❔ Compatibility matrix: unknown\n")
    assert "<error" in (report / "junit/staging.xml").read_text()


@pytest.mark.fault("missing-shard")
def test_all_artifacts_lost_are_unknown(pipeline: Pipeline) -> None:
    """The download of a single artifact makes no directory for it; each environment is a column without a run."""
    assert pipeline.run("plan").exit_code == 0
    last = pipeline.run("matrix")
    assert last.exit_code == 3, last.output
    assert last.output.count("::error title=") == 2


def test_the_history_goes_from_pipeline_to_pipeline(pipeline: Pipeline) -> None:
    """The default branch saves it, others only read: since when, how long, and what changed since the base are known."""
    (pipeline.project / "environments/local.toml").unlink()
    pipeline.commit()
    pipeline.base = pipeline.git("rev-parse", "HEAD")
    pipeline.is_default_branch, pipeline.shards = True, 1
    run_environments(pipeline)
    first = pipeline.run("matrix")
    assert first.exit_code == 0, first.output
    assert pipeline.cache is not None
    assert sorted(path.name for path in pipeline.cache.rglob("*.*")) == [
        ".envmatrix",
        "history.sqlite",
        "matrix.json",
        "staging.jsonl",
    ]
    saved = (pipeline.cache / ".envmatrix/history.sqlite").read_bytes()

    pipeline.next()
    pipeline.is_default_branch, pipeline.shards = False, 2
    (pipeline.project / "test_numbers.py").write_text(TESTS.format(wrong="2"))
    pipeline.commit()
    jobs = run_environments(pipeline)
    assert [path.name for path in pipeline.artifacts["durations"].iterdir()] == ["staging.jsonl"]
    assert [job.exit_code for job in jobs].count(1) == 1
    last = pipeline.run("matrix")
    assert last.exit_code == 1, last.output
    assert "staging  1 regressed, 3 same" in last.summary
    assert (pipeline.cache / ".envmatrix/history.sqlite").read_bytes() == saved


def test_pipelines_that_end_together_lose_no_run(pipeline: Pipeline, tmp_path: Path) -> None:
    """One has overwritten the cache that another saved; the next has the runs of both, and keeps its own beside."""
    (pipeline.project / "environments/local.toml").unlink()
    pipeline.commit()
    other = rows_of(
        write_run(tmp_path / "r.jsonl", Attempt("a", Outcome.PASSED), environment="staging", run_id="other")
    )
    today = other.run._replace(started_at=datetime.now(UTC).isoformat())  # or it were pruned
    export([other._replace(run=today)], Directory(str(pipeline.kept / "7")))
    pipeline.is_default_branch, pipeline.shards = True, 1
    run_environments(pipeline)
    last = pipeline.run("matrix")
    assert last.exit_code == 0, last.output
    assert "other" not in {path.stem for path in pipeline.artifacts["history"].rglob("*.parquet")}
    assert len(list(pipeline.artifacts["history"].rglob("*.parquet"))) == 1
    assert (pipeline.artifacts["site"] / "index.html").is_file()
    assert pipeline.cache is not None
    with closing(sqlite3.connect(pipeline.cache / ".envmatrix/history.sqlite")) as connection:
        assert connection.execute("SELECT count(DISTINCT commit_id) FROM runs").fetchone() == (2,)


def test_a_red_environment_alone_decides_nothing(pipeline: Pipeline) -> None:
    """The last job decides, and the audit; of a fork without any environment to run, GitHub refuses an empty matrix."""
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    assert {name: job.get("continue-on-error") for name, job in jobs.items()} == {
        "plan": None,
        "audit": None,  # what is wrong in the source is wrong whatever the environments say
        "health": True,
        "environment": True,
        "matrix": None,
    }
    (pipeline.project / "environments/local.toml").unlink()
    staging = pipeline.project / "environments/staging.toml"
    staging.write_text('[services.backend]\nkind = "http"\nsource = "remote"\nurl = "${STAGING_URL}"\n')
    pipeline.fork = "--untrusted"
    planned = pipeline.run("plan").outputs
    assert planned["jobs"] == planned["environments"]
    for job, output in (("health", "environments"), ("environment", "jobs")):
        assert f"needs.plan.outputs.{output} != '{planned['jobs']}' }}}}" in jobs[job]["if"]


def test_a_fork_gets_no_secrets_and_is_told(pipeline: Pipeline) -> None:
    """An environment that needs secrets is no job, but a column with the reason."""
    pipeline.shards, pipeline.fork = 1, "--untrusted"
    (pipeline.project / "environments/staging.toml").write_text(
        '[services.backend]\nkind = "http"\nsource = "remote"\nurl = "${STAGING_URL}"\n'
    )
    assert len(run_environments(pipeline)) == 1
    last = pipeline.run("matrix")
    assert last.exit_code == 3
    assert "untrusted: secrets are not given to forks" in last.summary
