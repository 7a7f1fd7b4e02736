"""What `envmatrix matrix` adds: its wall time against the same pytest processes started by hand, in parallel too."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rows import Row, in_turns
from envmatrix.environments import Project, declared_names

_ROUNDS = 3


def measure() -> Iterable[Row]:
    """Run the project's suites in every declared environment, both ways."""
    project = Project.find(Path.cwd())
    names = declared_names(project.environments_dir)
    medians = in_turns(_ROUNDS, {"ours": _matrix, "by hand": lambda: _by_hand(project, names)})
    peer = f"{len(names)} pytest processes by hand"
    yield Row("envmatrix matrix", medians["ours"], peer, medians["by hand"], goal="at most 1.15 x", samples=_ROUNDS)


def _matrix() -> float:
    return _wall_seconds([[sys.executable, "-m", "envmatrix", "matrix", "--quiet"]])


def _by_hand(project: Project, names: Iterable[str]) -> float:
    with TemporaryDirectory(prefix="envmatrix-bench-") as runs:
        pytest = [sys.executable, "-m", "pytest", *project.suites]
        options = [[f"--matrix-environment={name}", f"--matrix-run-file={runs}/{name}.jsonl"] for name in names]
        return _wall_seconds([[*pytest, *words] for words in options])


def _wall_seconds(commands: Iterable[list[str]]) -> float:
    began = time.perf_counter()
    children = [_start(command) for command in commands]
    codes = [child.wait() for child in children]
    elapsed = time.perf_counter() - began
    if any(codes):
        raise SystemExit(f"a run failed, so its time says nothing: exit codes {codes}")
    return elapsed


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet)  # noqa: S603  our own command
