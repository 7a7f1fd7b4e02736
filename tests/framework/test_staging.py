"""Staging: the real deployment when its variables are set, the twin when none is, an error when some are."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from envmatrix.environments import load_environment
from envmatrix.exceptions import UnsetVariableError
from envmatrix.runs.file import read_run
from envmatrix.runs.outcomes import Outcome
from envmatrix.services.supervisor import Owner, SupervisorClient
from tests.framework.bare import LEFT_OUT

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "environments"
MAKING = (
    *(f"tests/e2e/test_{name}.py" for name in ("auth_boundaries", "golden_path", "leaving", "redis_isolation")),
    *(f"test_framework/tests/test_{name}.py" for name in ("canaries", "isolation")),
)
"""Modules of the suites that between them make everything that a user can have."""

SUITE = """
import asyncio
import json

def test_reached_by_url_over_verified_tls(real_services):
    assert real_services.backend_url.startswith("https://")
    assert real_services.http_client_sync.get("/api/me").status_code == 200
    assert real_services.environment == "staging"
    assert set(real_services.config["services"]["backend"]) >= {"url", "ca_file"}
    assert real_services.config["services"]["backend"]["source"] == "remote"

def test_two_workers_answer(users):
    async def worker(user):
        async with user.websocket() as connection:
            await connection.send(json.dumps({"type": "ping"}))
            return json.loads(await connection.recv())["data"]["worker"]

    async def everyone(user):
        return await asyncio.gather(*(worker(user) for _ in range(20)))

    assert len(set(asyncio.run(everyone(users())))) >= 2
"""


def run(tmp_path: Path, variables: dict[str, str], *suites: str | Path) -> subprocess.CompletedProcess[str]:
    """Run suites against staging, by default a small one."""
    (tmp_path / "test_staging_suite.py").write_text(SUITE)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("STAGING_", "MATRIX_"))}
    command = [sys.executable, "-m", "pytest", *LEFT_OUT, "-p", "no:cacheprovider", "-c", os.devnull]
    options = ["--matrix-environment", "staging", "--matrix-environments", str(DIRECTORY)]
    return subprocess.run(
        [
            *command,
            *options,
            f"--rootdir={tmp_path}",
            "--matrix-run-file=run.jsonl",
            *(suites or ["test_staging_suite.py"]),
        ],
        cwd=tmp_path,
        env=clean | variables | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture
def deployment() -> Iterator[dict[str, str]]:
    """A staging deployment outside of the tool, known by its variables alone."""
    owner = Owner()
    try:
        started = SupervisorClient(owner.run_dir, "twin", DIRECTORY / "reference").start(
            ["auth", "backend", "database", "redis", "llm"]
        )
        endpoints = {name: state.endpoint for name, state in started.states.items()}
        assert all(endpoints.values()), started.states
        yield {
            "STAGING_AUTH_URL": endpoints["auth"].field("url"),
            "STAGING_BACKEND_URL": endpoints["backend"].field("url"),
            "STAGING_CA_FILE": endpoints["backend"].field("ca_file"),
            "STAGING_DATABASE_URL": endpoints["database"].field("url"),
            "STAGING_REDIS_URL": endpoints["redis"].field("url"),
            "STAGING_LLM_URL": endpoints["llm"].field("url"),
            "STAGING_LLM_API_KEY": "sk-twin-scripted",
        }
    finally:
        owner.close()


def test_with_its_variables_set_the_deployment_itself_is_tested(tmp_path: Path, deployment: dict[str, str]) -> None:
    """The column reads `staging`, every service is remote, and nothing is deployed."""
    result = run(tmp_path, deployment)
    assert result.returncode == 0, result.stdout
    recorded = read_run(tmp_path / "run.jsonl")
    assert recorded.header.label == "staging"
    assert set(recorded.header.sources.values()) == {"remote", "absent"}
    assert {cell.outcome for cell in recorded.cells.values()} == {Outcome.PASSED}


def test_without_them_the_twin_is_deployed_and_the_column_says_so(tmp_path: Path) -> None:
    """The same suite takes the same remote path, and the column never claims to be the deployment."""
    result = run(tmp_path, {})
    assert result.returncode == 0, result.stdout
    recorded = read_run(tmp_path / "run.jsonl")
    assert recorded.header.label == "staging (twin)"
    assert set(recorded.header.sources.values()) == {"remote", "absent"}
    assert {cell.outcome for cell in recorded.cells.values()} == {Outcome.PASSED}


def stored(deployment: dict[str, str]) -> dict[str, int]:
    """Count what the deployment's stores hold: rows of each table, databases, roles, keys."""
    with (
        psycopg.connect(deployment["STAGING_DATABASE_URL"]) as connection,
        redis.Redis.from_url(deployment["STAGING_REDIS_URL"]) as keys,
    ):
        tables = connection.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('auth', 'backend')"
            " AND tablename <> 'signing_keys'"
        ).fetchall()
        counted = {
            table: connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()[0]
            for table in ("pg_database", "pg_roles", *(table for (table,) in tables))
        }
        return counted | {name: space["keys"] for name, space in keys.info("keyspace").items()}


def test_a_green_run_leaves_nothing_in_the_deployment(tmp_path: Path, deployment: dict[str, str]) -> None:
    """Threads, messages, users and keys that the suites made are deleted through the product. Takes a real run."""
    before = stored(deployment)
    result = run(tmp_path, deployment, "-panyio", "--import-mode=importlib", *map(ROOT.joinpath, MAKING))
    assert result.returncode == 0, result.stdout
    assert stored(deployment) == before


@pytest.mark.fault("unset-variable")
def test_with_some_of_them_set_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a deployment is an error that names the variable which is missing, not half a twin."""
    monkeypatch.setenv("STAGING_AUTH_URL", "https://auth.staging.example.com")
    with pytest.raises(UnsetVariableError, match=r"staging\.toml:\d+: variable STAGING_DATABASE_URL is not set"):
        load_environment("staging", DIRECTORY)


@pytest.mark.fault("tls-bad-cert")
def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path, deployment: dict[str, str]) -> None:
    """Without the authority's file the deployment is not trusted: what the environment declares does not fit it."""
    result = run(tmp_path, {name: value for name, value in deployment.items() if name != "STAGING_CA_FILE"})
    assert result.returncode == 1
    cells = read_run(tmp_path / "run.jsonl").cells.values()
    assert {str(cell.cause) for cell in cells} == {"contract"}
    assert all("certificate" in (cell.evidence.summary if cell.evidence else "") for cell in cells)
