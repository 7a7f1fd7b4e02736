"""A small project with one real environment, for tests that run pytest inside pytest."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from test_framework.cells import Run
from test_framework.run_file import read_run
from tests.framework.bare import LEFT_OUT

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


ASYNCIO = ("-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function")
"""The options that bring pytest-asyncio back."""


@dataclass(frozen=True)
class Project:
    """A project in a directory of its own, with one environment named tiny: one real HTTP service."""

    pytester: pytest.Pytester
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
        return self.pytester.run(sys.executable, "-m", "pytest", *LEFT_OUT, *options, *args, timeout=timeout)

    @property
    def run_file(self) -> Path:
        """Where the run is recorded."""
        return self.root / "run.jsonl"

    @property
    def run(self) -> Run:
        """The run that was recorded last."""
        return read_run(self.run_file)


def make_project(pytester: pytest.Pytester) -> Project:
    """Write the project's files."""
    project = Project(pytester, pytester.path)
    project.write("pyproject.toml", "[tool.pytest.ini_options]\n")
    project.write("environments/tiny.toml", TINY_TOML)
    project.write("server.py", TINY_SERVER.read_text())
    return project
