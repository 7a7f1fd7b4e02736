"""The product's own story, through the command line and against the real local environment."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.framework.bare import plain_environment

ROOT = Path(__file__).parents[2]

KILLS = """
import os
import signal
from urllib.parse import urlsplit

import psutil

def test_before(real_services):
    assert real_services.http_client_sync.get("/api/me").status_code == 200

def test_during(real_services):
    port = urlsplit(real_services.backend_url).port
    listening = [c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port]
    assert listening
    for pid in listening:
        os.kill(pid, signal.SIGKILL)
    assert real_services.http_client_sync.get("/api/me").status_code == 200

def test_after(real_services):
    assert real_services.http_client_sync.get("/api/me").status_code == 200

def test_that_uses_nothing():
    pass
"""

CONFTEST = """
import pathlib
import pytest

@pytest.fixture(autouse=True)
def where(request):
    run_dir = request.config.pluginmanager.getplugin("envmatrix-process").run_dir
    pathlib.Path(__file__).with_name("run_dir.txt").write_text(str(run_dir))
"""

LEGACY = """
import pytest

@pytest.fixture
def real_services():
    return {"environment": "local", "backend_url": "http://127.0.0.1:1"}
"""


@pytest.fixture
def matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `envmatrix matrix local` in a project of one directory, with its services kept in sight."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-p no:valkey'\n")

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-m", "envmatrix", "matrix", "local", "--json"]
        options = [f"--environments={ROOT / 'environments'}", "--", *arguments]
        ended = subprocess.run(
            [*command, *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env=plain_environment(),
        )
        assert ended.stdout, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    return run


def assert_nothing_left(root: Path) -> None:
    """Assert that no process or directory of the run remains; services inherit our TMPDIR, which finds them."""
    run_dir = Path((root / "run_dir.txt").read_text())
    assert not run_dir.exists()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            assert process.environ().get("TMPDIR") != str(root), process.cmdline()


def cells(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each test's cell in the only column."""
    return {test["id"].partition("::")[2]: test["cells"]["local"] for test in document["tests"]}


def test_a_backend_killed_mid_run_is_infrastructure_and_never_green(matrix: Any, tmp_path: Path) -> None:
    """What ran before keeps its verdict, what needed the backend is infrastructure by ping, the environment unknown."""
    (tmp_path / "test_kills.py").write_text(KILLS)
    code, document = matrix("test_kills.py")
    assert code == 3
    found = cells(document)
    assert [found[name]["outcome"] for name in ("test_before", "test_that_uses_nothing")] == ["passed", "passed"]
    for name in ("test_during", "test_after"):
        assert (found[name]["outcome"], found[name]["cause"]) == ("failed", "infrastructure")
        assert "backend" in found[name]["evidence"]["summary"]
    assert_nothing_left(tmp_path)


def test_a_conftest_that_breaks_the_contract_is_named_with_its_file_and_field(matrix: Any, tmp_path: Path) -> None:
    """The cell is contract, names the conftest and the missing field; the test beside it is untouched."""
    (tmp_path / "legacy").mkdir()
    (tmp_path / "legacy/conftest.py").write_text(LEGACY)
    (tmp_path / "legacy/test_legacy.py").write_text("def test_legacy(real_services): pass")
    (tmp_path / "test_fine.py").write_text("def test_fine(real_services): pass")
    code, document = matrix("legacy", "test_fine.py")
    assert code == 1
    found = cells(document)
    assert found["test_fine"]["outcome"] == "passed"
    assert (found["test_legacy"]["outcome"], found["test_legacy"]["cause"]) == ("failed", "contract")
    assert "legacy/conftest.py:4" in found["test_legacy"]["evidence"]["summary"]
    assert "auth_url" in found["test_legacy"]["evidence"]["summary"]
    assert_nothing_left(tmp_path)
