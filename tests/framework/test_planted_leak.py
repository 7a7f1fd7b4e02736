"""A real backend with a deliberate cross-user bug: the shipped suite finds it, by the very tests that are about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from environments.reference.backend.planted import plant
from test_framework.cells import Cause, Outcome
from test_framework.run_file import read_run
from test_framework.tests import test_canaries as canaries

ROOT = Path(__file__).parents[2]
FOUND_BY = {
    "threads": {"test_http_canary_is_its_users_own"},
    "state": {"test_http_canary_is_its_users_own"},
    "events": {"test_websocket_canary_reaches_its_user_alone", "test_llm_context_is_its_users_own"},
    "context": {"test_llm_context_is_its_users_own"},
}
"""Bug → the tests that must fail for it; events told to everybody hold the answers to everybody's questions, too."""


@pytest.mark.fault("cross-worker-collision")
@pytest.mark.parametrize("leak", ["", *FOUND_BY], ids=["none", *FOUND_BY])
def test_a_planted_leak_is_found(tmp_path: Path, leak: str) -> None:
    """Exactly the canaries of that place are found elsewhere; with no bug planted, none is. Takes a real start each."""
    declaration = (
        (ROOT / "environments/backend.toml").read_text().replace('environment = "backend"', 'environment = "leaky"')
    )
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/leaky.toml").write_text(
        declaration.replace("[services.backend.env]\n", f'[services.backend.env]\nPLANTED_LEAK = "{leak}"\n')
    )
    run_file = tmp_path / "run.jsonl"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:valkey",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
    ]
    command += ["--import-mode=importlib", "--matrix-environment=leaky", f"--matrix-run-file={run_file}"]
    done = subprocess.run(
        [*command, f"--matrix-environments={tmp_path / 'environments'}", canaries.__file__],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    cells = {name.rpartition("::")[2].partition("[")[0]: cell for name, cell in read_run(run_file).cells.items()}
    assert len(cells) == 3, done.stdout
    failed = {name: cell.cause for name, cell in cells.items() if cell.outcome is not Outcome.PASSED}
    assert failed == dict.fromkeys(FOUND_BY.get(leak, ()), Cause.CONTRACT), done.stdout


@pytest.mark.parametrize(
    ("names", "environment", "refusal"),
    [
        ("threads", "staging", "PLANTED_LEAK is refused in 'staging'"),
        ("threads", "leaky-production", "PLANTED_LEAK is refused in 'leaky-production'"),
        ("thread", "leaky", "PLANTED_LEAK names 'thread'; there are threads, state, events, context"),
    ],
)
def test_no_leak_is_planted_by_accident(names: str, environment: str, refusal: str) -> None:
    """The backend does not even start with one, but in the one environment that is for it."""
    with pytest.raises(SystemExit, match=refusal):
        plant(names, environment)
