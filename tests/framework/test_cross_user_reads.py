"""The conformance suite finds each cross-user read that is planted in a real backend."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from environments.reference.backend import main
from environments.reference.backend.cross_user_reads import ENVIRONMENT
from envmatrix.conformance import test_canaries as canaries
from envmatrix.runs.cells import Cell
from envmatrix.runs.file import read_run
from envmatrix.runs.outcomes import Cause, Outcome

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
    metafunc.parametrize("bug", os.environ["BUGS"].split(","), indirect=True)


@pytest.fixture(autouse=True)
def bug(request):
    SWITCH.write_text(request.param)
    yield
    SWITCH.write_text("none")
"""
"""Runs each test once with each bug switched on."""


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], Cell]:
    """Run the shipped canaries against the reference backend with each bug; return the cells by bug and test."""
    root = tmp_path_factory.mktemp("planted")
    run_file, switch = root / "run.jsonl", root / "switch"
    declaration = (ROOT / "environments/backend.toml").read_text()
    for old, new in (
        ('environment = "backend"', 'environment = "planted"'),
        ("[services.backend.env]\n", f"[services.backend.env]\nCROSS_USER_READS = '{switch}'\n"),
    ):
        assert old in declaration
        declaration = declaration.replace(old, new)
    (root / "environments").mkdir()
    (root / "environments/planted.toml").write_text(declaration)
    (root / "bugs_plugin.py").write_text(PLUGIN)
    switch.write_text("none")
    options = ["-q", "-p", "no:valkey", "-p", "no:cacheprovider", "-p", "bugs_plugin", "--import-mode=importlib"]
    options += [f"--rootdir={root}", "--matrix-environment=planted", f"--matrix-environments={root / 'environments'}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--matrix-run-file={run_file}", canaries.__file__],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, root))),
            "SWITCH": str(switch),
            "BUGS": ",".join(FOUND_BY),
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
        (bug,) = FOUND_BY.keys() & set(parameters.split("-"))
        found[bug, test] = cell
    return found


@pytest.mark.fault("cross-worker-collision")
@pytest.mark.parametrize(("bug", "found_by"), FOUND_BY.items(), ids=list(FOUND_BY))
def test_a_planted_bug_is_found(cells: Mapping[tuple[str, str], Cell], bug: str, found_by: Mapping[str, str]) -> None:
    """Exactly the canaries of that place go astray; with no bug, none does. Takes one real start."""
    told = {test: cells[bug, test] for test in CANARIES}
    failed = {test: cell for test, cell in told.items() if cell.outcome is not Outcome.PASSED}
    assert failed.keys() == found_by.keys()
    for test, cell in failed.items():
        assert (cell.outcome, cell.cause) == (Outcome.FAILED, Cause.CONTRACT)
        assert cell.evidence is not None
        assert cell.evidence.rule == "C103"
        assert found_by[test] in cell.evidence.detail


@pytest.mark.parametrize("environment", ["staging", "production", "local", "unknown", "planted-production"])
def test_a_backend_does_not_start_with_a_bug_by_accident(monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    """Anywhere but in the environment for it, a planted bug ends the process before it serves anybody."""
    needed = {"DATABASE_URL": "postgresql://nowhere/", "REDIS_URL": "redis://nowhere/", "AUTH_URL": "http://nowhere"}
    for name, value in {**needed, "ENVIRONMENT": environment, "CROSS_USER_READS": "switch"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=f"CROSS_USER_READS is refused in '{environment}'"):
        main()


def test_no_declared_environment_admits_a_bug() -> None:
    """None of this repository is named like the one for bugs, and none switches them on."""
    declarations = list((ROOT / "environments").rglob("*.toml"))
    assert ENVIRONMENT not in {path.stem for path in declarations}
    assert [path for path in declarations if "CROSS_USER_READS" in path.read_text()] == []
