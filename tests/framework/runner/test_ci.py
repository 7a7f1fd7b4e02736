"""The CI plan: every declared environment in so many shards, within the platform's limits, secrets kept from forks."""

import json
import subprocess
from pathlib import Path

import pytest

from envmatrix.exceptions import DeclarationError, UnknownEnvironmentError, UsageError
from envmatrix.runner.ci import GITHUB_JOBS, GITLAB_JOBS, CIPlan, as_text, for_github, for_gitlab, make_ci_plan

LOCAL = '[services.redis]\nkind = "redis"\nsource = "embedded"\n'
STAGING = '[services.redis] # ${NO_VARIABLE}\nkind = "redis"\nsource = "remote"\nurl = "${STAGING_URL}"\n'
TWIN = '\n[twin]\nenvironment = "twin.toml"\n[twin.variables]\nSTAGING_URL = "{redis.url}"\n'


def plan(path: Path, *names: str, shards: int = 1, is_trusted: bool = True, **files: str) -> CIPlan:
    """Plan what a directory declares."""
    for name, text in (files or {"local": LOCAL, "staging": STAGING}).items():
        (path / f"{name}.toml").write_text(text)
    return make_ci_plan(names, path, shards=shards, is_trusted=is_trusted)


def test_each_environment_and_shard_is_a_job(tmp_path: Path) -> None:
    """By name, each shard once; what GitHub gets fits on one line."""
    text = for_github(plan(tmp_path, shards=2))
    assert text.count("\n") == 1
    assert json.loads(text)["include"] == [
        {"environment": "local", "shard": "1/2", "index": 1},
        {"environment": "local", "shard": "2/2", "index": 2},
        {"environment": "staging", "shard": "1/2", "index": 1},
        {"environment": "staging", "shard": "2/2", "index": 2},
    ]


def test_gitlab_gets_a_child_pipeline(tmp_path: Path) -> None:
    """The jobs leave their runs also when they fail, and the merge runs and decides whatever became of them."""
    pipeline = json.loads(for_gitlab(plan(tmp_path, "local", shards=2), "envmatrix"))
    run, last = pipeline["environment"], pipeline["matrix"]
    assert run["parallel"]["matrix"] == [{"ENVIRONMENT": ["local"], "SHARD": ["1/2", "2/2"]}]
    assert run["resource_group"] == "$ENVIRONMENT $SHARD"  # by the environment alone, one shard would wait for another
    assert run["artifacts"]["when"] == last["when"] == "always"
    assert run["allow_failure"]
    assert not [path for path in run["artifacts"]["paths"] if not path.endswith((".json", ".jsonl"))]
    assert last["script"][-2:] == [
        "envmatrix merge plan .envmatrix/runs --output merged || true",
        "envmatrix gate merged",
    ]


def test_gitlab_knows_what_was_asked_for(tmp_path: Path) -> None:
    """A child pipeline has no artifact of the plan: its last job writes the manifest; a matrix of nothing is refused."""
    made = plan(tmp_path, "staging", is_trusted=False)
    pipeline = json.loads(for_gitlab(made, "envmatrix"))
    assert pipeline.keys() == {"stages", "matrix"}
    subprocess.run(["sh", "-ec", "\n".join(pipeline["matrix"]["script"][:2])], cwd=tmp_path, timeout=10, check=True)
    assert json.loads((tmp_path / "plan/matrix.json").read_text()) == json.loads(made.manifest())


def test_what_needs_secrets_is_not_run_for_a_fork(tmp_path: Path) -> None:
    """It is left out of the jobs, and stands in the manifest with the reason."""
    made = plan(tmp_path, is_trusted=False)
    assert [job["environment"] for job in made.jobs] == ["local"]
    assert json.loads(made.manifest())["environments"] == {
        "local": {"label": "local", "note": ""},
        "staging": {"label": "staging", "note": "untrusted: secrets are not given to forks"},
    }
    assert as_text(made) == "local    1 job\nstaging  skipped, untrusted: secrets are not given to forks\n"


def test_a_twin_needs_no_secrets(tmp_path: Path) -> None:
    """A fork gets the deployment of our own."""
    made = plan(tmp_path, is_trusted=False, staging=STAGING + TWIN)
    assert [job["environment"] for job in made.jobs] == ["staging"]
    assert as_text(made) == "staging  1 job, needs STAGING_URL or its twin stands in\n"


def test_the_platforms_limits_are_said_before_they_are_met(tmp_path: Path) -> None:
    """One job more than the platform runs is refused here, with both numbers."""
    assert for_github(plan(tmp_path, "local", shards=GITHUB_JOBS))
    with pytest.raises(UsageError, match="257 jobs are planned, but GitHub runs at most 256"):
        for_github(plan(tmp_path, "local", shards=GITHUB_JOBS + 1))
    with pytest.raises(UsageError, match="201 jobs are planned, but GitLab runs at most 200"):
        for_gitlab(plan(tmp_path, "local", shards=GITLAB_JOBS + 1), "envmatrix")


def test_what_is_not_declared_is_refused(tmp_path: Path) -> None:
    """An unknown name, nothing at all, a file that is no TOML."""
    with pytest.raises(UnknownEnvironmentError, match="Did you mean 'staging'"):
        plan(tmp_path, "stagin")
    with pytest.raises(DeclarationError):
        plan(tmp_path, "broken", broken="[")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="no environment is declared"):
        make_ci_plan((), empty, shards=1, is_trusted=True)


def test_a_variable_of_an_extended_file_is_needed_too(tmp_path: Path) -> None:
    """A fork gets no environment whose secrets are asked for by what it extends."""
    (tmp_path / "_base.toml").write_text(STAGING)
    made = plan(tmp_path, is_trusted=False, staging="extends = '_base.toml'\n")
    assert [(each.environment, each.variables) for each in made.environments] == [("staging", ("STAGING_URL",))]
    assert not made.jobs
