"""A small project with one real environment, for tests that run pytest inside pytest."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from envmatrix.runs.cells import Run
from envmatrix.runs.file import read_run
from tests.framework.bare import LEFT_OUT, plain_environment

TINY_SERVER = Path(__file__).parent / "tiny_server.py"

TINY_TOML = """
[services.backend]
kind = "http"
source = "process"
command = ["{python}", "-S", "server.py", "{backend.port}"]
env = { SERVICE = "backend", ENVIRONMENT = "{environment}" }
identity = { service = "backend", environment = "tiny" }
protected = "/me"

[services.redis]
kind = "redis"
source = "absent"

[users]
service = "backend"
signup = "/signup"
login = "/login"
me = "/me"
"""

WITH_STORE = (
    TINY_TOML.replace('"backend", ENVIRONMENT', '"backend", STORE_URL = "{store.url}", ENVIRONMENT')
    + """
[services.store]
kind = "http"
source = "process"
command = ["{python}", "-S", "server.py", "{store.port}"]
env = { SERVICE = "store", ENVIRONMENT = "{environment}" }
"""
)
"""The same with a second service, which the first one needs by its declaration."""


ASYNCIO = ("-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function")
"""The options that bring pytest-asyncio back."""


@dataclass(frozen=True)
class Project:
    """A project in a directory of its own, with one environment named tiny: one real HTTP service."""

    pytester: pytest.Pytester | None
    """What runs pytest; `None` where one run is shared."""
    root: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def pytest(self, *args: str, environment: str = "tiny", timeout: float = 60) -> pytest.RunResult:
        """Run pytest in a process of its own against an environment, recording to run.jsonl."""
        self.run_file.unlink(missing_ok=True)
        options = ["--matrix-environment", environment, "--matrix-run-file", str(self.run_file)] if environment else []
        assert self.pytester is not None
        return self.pytester.run(sys.executable, "-m", "pytest", *LEFT_OUT, *options, *args, timeout=timeout)

    @property
    def run_file(self) -> Path:
        """Where the run is recorded."""
        return self.root / "run.jsonl"

    @property
    def run(self) -> Run:
        """The run that was recorded last."""
        return read_run(self.run_file)


def run_together(root: Path, files: Mapping[str, str], environment: str = "tiny") -> Run:
    """Run what several tests look at in one pytest, each in a directory of its own; return the run.

    Args:
        root: An empty directory.
        files: The project's files beside the declaration, or in its place: path → text.
        environment: The environment that is selected.
    """
    project = write_project(Project(None, root))
    for name, text in files.items():
        project.write(name, text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--import-mode=importlib"]
    options = [f"--matrix-environment={environment}", f"--matrix-run-file={project.run_file}"]
    subprocess.run(
        [*command, *options], cwd=root, env=plain_environment(), capture_output=True, timeout=60, check=False
    )
    return project.run


def make_project(pytester: pytest.Pytester) -> Project:
    """Write the project's files where pytester works."""
    return write_project(Project(pytester, pytester.path))


def write_project(project: Project) -> Project:
    """Write the project's files."""
    project.write("pyproject.toml", "[tool.pytest.ini_options]\n")
    project.write("environments/tiny.toml", TINY_TOML)
    project.write("server.py", TINY_SERVER.read_text())
    return project
