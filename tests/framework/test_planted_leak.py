"""A real backend with a deliberate cross-user bug: the shipped suite finds it, by the very tests that are about it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from environments.reference.backend import main
from environments.reference.backend.planted import ENVIRONMENT
from envmatrix.conformance import test_canaries as canaries
from envmatrix.runs.cells import Cause, Cell, Outcome
from envmatrix.runs.file import read_run

ROOT = Path(__file__).parents[2]
HTTP, SOCKET, CONTEXT = CANARIES = (
    "test_http_canary_is_its_users_own",
    "test_websocket_canary_reaches_its_user_alone",
    "test_llm_context_is_its_users_own",
)
FOUND_BY = {
    "none": {},
    "threads": {HTTP: "/api/threads shows a user what another wrote"},
    "state": {HTTP: "/api/state/canary shows a user what another wrote"},
    # What is told to everybody holds the answers to everybody's questions, too.
    "events": {SOCKET: "a user got what another had said", CONTEXT: "a user got what another had said"},
    "context": {CONTEXT: "a user got what another had said"},
}
"""Bug → the tests that must fail for it → what they must say."""


PLUGIN = """
import os
from pathlib import Path

import pytest

SWITCH = Path(os.environ["SWITCH"])


def pytest_generate_tests(metafunc):
    metafunc.parametrize("leak", os.environ["LEAKS"].split(","), indirect=True)


@pytest.fixture(autouse=True)
def leak(request):
    SWITCH.write_text(request.param)
    yield
    SWITCH.write_text("none")
"""
"""Runs each test once with each bug switched on."""


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], Cell]:
    """Run the shipped canaries against the reference backend with each bug; return the cells by bug and test."""
    root = tmp_path_factory.mktemp("leaky")
    run_file, switch = root / "run.jsonl", root / "switch"
    declaration = (ROOT / "environments/backend.toml").read_text()
    for old, new in (
        ('environment = "backend"', 'environment = "leaky"'),
        ("[services.backend.env]\n", f"[services.backend.env]\nPLANTED_LEAK = '{switch}'\n"),
    ):
        assert old in declaration
        declaration = declaration.replace(old, new)
    (root / "environments").mkdir()
    (root / "environments/leaky.toml").write_text(declaration)
    (root / "leaks_plugin.py").write_text(PLUGIN)
    switch.write_text("none")
    options = ["-q", "-p", "no:valkey", "-p", "no:cacheprovider", "-p", "leaks_plugin", "--import-mode=importlib"]
    options += [f"--rootdir={root}", "--matrix-environment=leaky", f"--matrix-environments={root / 'environments'}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--matrix-run-file={run_file}", canaries.__file__],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, root))),
            "SWITCH": str(switch),
            "LEAKS": ",".join(FOUND_BY),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run_file.exists(), done.stdout + done.stderr
    found = {}
    for name, cell in read_run(run_file).cells.items():
        test, _, parameters = name.rpartition("::")[2].rstrip("]").partition("[")
        (leak,) = FOUND_BY.keys() & set(parameters.split("-"))
        found[leak, test] = cell
    return found


@pytest.mark.fault("cross-worker-collision")
@pytest.mark.parametrize(("leak", "found_by"), FOUND_BY.items(), ids=list(FOUND_BY))
def test_a_planted_leak_is_found(cells: Mapping[tuple[str, str], Cell], leak: str, found_by: Mapping[str, str]) -> None:
    """Exactly the canaries of that place go astray; with no bug, none does. Takes one real start."""
    told = {test: cells[leak, test] for test in CANARIES}
    failed = {test: cell for test, cell in told.items() if cell.outcome is not Outcome.PASSED}
    assert failed.keys() == found_by.keys()
    for test, cell in failed.items():
        assert (cell.outcome, cell.cause) == (Outcome.FAILED, Cause.CONTRACT)
        assert cell.evidence is not None
        assert cell.evidence.rule == "C103"
        assert found_by[test] in cell.evidence.detail


@pytest.mark.parametrize("environment", ["staging", "production", "local", "unknown", "leaky-production"])
def test_a_backend_does_not_start_with_a_leak_by_accident(monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    """But in the one environment that is for it, a leak ends the process before it serves anybody."""
    needed = {"DATABASE_URL": "postgresql://nowhere/", "REDIS_URL": "redis://nowhere/", "AUTH_URL": "http://nowhere"}
    for name, value in {**needed, "ENVIRONMENT": environment, "PLANTED_LEAK": "switch"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=f"PLANTED_LEAK is refused in '{environment}'"):
        main()


def test_no_declared_environment_admits_a_leak() -> None:
    """None of this repository is the one for leaks, and none asks for one."""
    declarations = list((ROOT / "environments").rglob("*.toml"))
    assert ENVIRONMENT not in {path.stem for path in declarations}
    assert [path for path in declarations if "PLANTED_LEAK" in path.read_text()] == []
