"""A project of environments without services: for tests of what runs pytest rather than of what pytest runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

BARE_TOML = '[services.redis]\nkind = "redis"\nsource = "absent"\n'

PYPROJECT = """
[tool.envmatrix]
suites = ["suite"]

[tool.pytest.ini_options]
addopts = ["-p", "no:valkey", "-p", "no:asyncio", "-p", "no:anyio", "-p", "no:hypothesispytest"]
"""

LEFT_OUT = ("-p", "no:valkey", "-p", "no:asyncio", "-p", "no:anyio", "-p", "no:hypothesispytest")
"""Plugins of our own development that few of these tests need: each process would take half as long again to start.

Where the suite is run that we ship, `-p anyio` brings the one back that it needs.
"""

COMMAND = (sys.executable, "-m", "envmatrix")


class Bare:
    """A directory with declarations and tests."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def declare(self, *names: str) -> None:
        """Declare environments."""
        for name in names:
            self.write(f"environments/{name}.toml", BARE_TOML)

    def start(self, *arguments: str, where: str = ".") -> subprocess.Popen[str]:
        """Start the command line."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.root / where,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env=plain_environment(),
        )

    def run(self, *arguments: str, where: str = ".", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the command line to its end."""
        process = self.start(*arguments, where=where)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    @property
    def last(self) -> Path:
        """The directory of the last run."""
        return (self.root / ".envmatrix/runs/latest").resolve()


def plain_environment() -> dict[str, str]:
    """Our own environment without what pytest, a terminal or a coverage tool would bring into a child.

    Every pytest that is started there leaves out what it need not load.
    """
    drop = re.compile(r"PYTEST_|MATRIX_|COLUMNS|NO_COLOR|FORCE_COLOR|PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not drop.match(name)}
    return kept | {"PYTEST_ADDOPTS": shlex.join(LEFT_OUT)}


def make_bare(root: Path) -> Bare:
    """Write the project's own files, and one suite that passes."""
    bare = Bare(root)
    bare.write("pyproject.toml", PYPROJECT)
    bare.declare("local", "staging")
    bare.write("suite/test_a.py", "def test_a(): pass\n")
    return bare
