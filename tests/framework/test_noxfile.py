"""There is one nox session per declared environment; sessions pass on arguments and exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.framework.docs_pages import ROOT

DECLARED = sorted(path.stem for path in (ROOT / "environments").glob("[!_]*.toml"))

RECORDER = """#!/bin/sh
echo "$0 $*" >> calls.txt
echo "bytecode forbidden: ${PYTHONDONTWRITEBYTECODE-no}" >> calls.txt
exit $(cat exit_code)
"""


def nox(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run nox on the noxfile of a directory."""
    command = [sys.executable, "-m", "nox", "--noxfile", str(directory / "noxfile.py"), *words]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def sessions(directory: Path) -> dict[str, str]:
    """Return every session of a noxfile with its description."""
    named = nox(directory, "-l", "--json", "-k", "not nothing")
    assert named.returncode == 0, named.stderr
    return {each["session"]: each["description"] for each in json.loads(named.stdout)}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The noxfile in a project whose installation is a stand-in that notes how it is called."""
    for name in ("noxfile.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "environments").mkdir()
    for name in (*DECLARED, "moon"):
        (tmp_path / f"environments/{name}.toml").touch()
    venv.create(tmp_path / ".nox/install", symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / ".nox/install/installed.toml")
    for name in ("envmatrix", "pytest"):
        program = tmp_path / f".nox/install/bin/{name}"
        program.write_text(RECORDER)
        program.chmod(0o755)
    (tmp_path / "exit_code").write_text("0")
    return tmp_path


def calls(directory: Path) -> list[str]:
    """Return the recorded calls, without the directory of the programs."""
    lines = (directory / "calls.txt").read_text().splitlines()
    return [line.rpartition("/bin/")[2] for line in lines if "bytecode" not in line]


def test_each_session_explains_itself() -> None:
    """There is a session for each purpose and each environment, and `nox -l` has a line on every one."""
    found = sessions(ROOT)
    assert {"matrix", "tests", "lint", "bench", *DECLARED, *(f"environment({name})" for name in DECLARED)} <= {*found}
    assert [name for name, description in found.items() if not description] == []


def test_an_environment_is_a_session_by_its_file_alone(copy: Path) -> None:
    """A fifth file is a fifth session under both of its names."""
    assert {"environment(moon)", "moon"} <= sessions(copy).keys()


def test_a_variant_is_a_session_too(copy: Path) -> None:
    """By the name that selects it anywhere."""
    (copy / "environments/moon.toml").write_text('[variants.dark]\nservices.sun.fault = "down"\n')
    assert {"environment(moon)", "moon", "environment(moon+dark)", "moon+dark"} <= sessions(copy).keys()


@pytest.mark.parametrize("session", ["environment(moon)", "moon"])
def test_an_environment_is_run_with_the_arguments(copy: Path, session: str) -> None:
    """Arguments after -- are passed on; bytecode is written even where the machine forbids it."""
    done = nox(copy, "-s", session, "--", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert calls(copy) == ["envmatrix run moon --format json"]
    assert "bytecode forbidden: no" in (copy / "calls.txt").read_text()


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_session_fails_with_the_exit_code_in_its_log(copy: Path, code: int) -> None:
    """Nox exits with 1 whatever happened; its log has the code that tells, and no traceback."""
    (copy / "exit_code").write_text(str(code))
    done = nox(copy, "-s", "matrix")
    assert done.returncode == 1
    assert f"failed with exit code {code}" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_all_tests_are_the_suites_in_local_and_our_own(copy: Path) -> None:
    """One command runs both; named tests are run instead of them."""
    assert nox(copy, "-s", "tests").returncode == 0
    suites, own = calls(copy)
    assert suites == "pytest --matrix-environment=local test_framework/tests tests/e2e"
    assert "matrix-environment" not in own
    (copy / "calls.txt").unlink()
    assert nox(copy, "-s", "tests", "--", "tests/framework/test_cells.py").returncode == 0
    assert calls(copy) == ["pytest tests/framework/test_cells.py"]
