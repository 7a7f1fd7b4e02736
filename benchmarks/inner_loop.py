"""What a test costs in the inner loop: run against an environment that is up, against the same test in bare pytest.

The bare one has the addresses in variables and a fixture that signs up a user and logs it in with httpx, and checks nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rows import Row, in_turns, seconds
from envmatrix.environments import load_environment
from envmatrix.services.supervisor import Owner, SupervisorClient
from envmatrix.services.supervisor.kept import Origin, record

_ROUNDS = 7
_TEST = """
import httpx


def test_a_thread_is_read_back(real_services):
    headers = {"Authorization": f"Bearer {real_services['test_jwt_token']}"}
    with httpx.Client(base_url=real_services["backend_url"], headers=headers) as client:
        made = client.post("/api/threads", json={"title": "a thread"})
        assert made.status_code == 201
        read = client.get(f"/api/threads/{made.json()['thread_id']}")
        assert read.json()["title"] == "a thread"
"""
_BARE = """
import os
import uuid

import httpx
import pytest


@pytest.fixture
def real_services():
    user = {"email": f"{uuid.uuid4().hex}@example.com", "password": uuid.uuid4().hex}
    with httpx.Client(base_url=os.environ["AUTH_URL"]) as client:
        client.post("/auth/signup", json=user).raise_for_status()
        token = client.post("/auth/login", json=user).raise_for_status().json()["access_token"]
    return {"backend_url": os.environ["BACKEND_URL"], "test_jwt_token": token}
"""


def measure() -> Iterable[Row]:
    """Keep `local` up, and run the test in both ways in turns."""
    environment = load_environment("local", Path("environments"))
    owner = Owner()
    try:
        client = SupervisorClient(owner.run_dir, "local", Path("environments"), declared=environment)
        states = client.start(environment.services).states
        addresses = {
            f"{name.upper()}_URL": state.endpoint.field("url") for name, state in states.items() if state.endpoint
        }
        record(owner, Origin.of(environment, os.environ))
        with TemporaryDirectory(prefix="envmatrix-bench-") as scratch:
            root = Path(scratch)
            for name in ("bare", "ours"):
                (root / name).mkdir()
                (root / name / "test_thread.py").write_text(_TEST)
            (root / "bare/conftest.py").write_text(_BARE)
            options = (
                "-p",
                "envmatrix.plugin",
                "--matrix-environment=local",
                f"--matrix-environments={Path('environments').resolve()}",
            )
            run = {"bare": partial(_run, root / "bare", addresses), "ours": partial(_run, root / "ours", {}, *options)}
            medians = in_turns(_ROUNDS, {name: partial(seconds, each) for name, each in run.items()})
    finally:
        owner.close()
    goal = "at most 1.5 x"
    yield Row(
        "one test, the environment up", medians["ours"], "httpx, bare pytest", medians["bare"], "s", goal, _ROUNDS
    )


def _run(root: Path, variables: Mapping[str, str], *options: str) -> None:
    """Run the test with no plugin but those named."""
    env = {**os.environ, **variables, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "pytest", "-q", *options, "test_thread.py"]
    subprocess.run(command, cwd=root, env=env, check=True, timeout=120, stdout=subprocess.DEVNULL)  # noqa: S603 -- ours
