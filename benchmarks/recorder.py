"""What the plugin and its recorder cost each test: processor time on 10,000 trivial tests, against bare pytest."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rows import Row, in_turns

_FILES, _TESTS_PER_FILE = 20, 500
_ROUNDS = 5
_RUN_FILE = "run.jsonl"
_PLUGIN = ("-p", "envmatrix.plugin")


def measure() -> Iterable[Row]:
    """Run the same tests bare, with ours, and with the recorder that pytest brings."""
    with TemporaryDirectory(prefix="envmatrix-bench-") as directory:
        root = Path(directory)
        _write_project(root)
        candidates = {
            "bare": (),
            "installed": _PLUGIN,
            "recording": (*_PLUGIN, "--matrix-environment=empty", f"--matrix-run-file={root / _RUN_FILE}"),
            "sampling": (
                *_PLUGIN,
                "--matrix-environment=empty",
                f"--matrix-run-file={root / _RUN_FILE}",
                "--matrix-sample=1s",
            ),
            "junitxml": (f"--junitxml={root / 'junit.xml'}",),
        }
        _cpu_seconds(root)  # writes pytest's bytecode
        medians = in_turns(_ROUNDS, {name: partial(_cpu_seconds, root, *words) for name, words in candidates.items()})
    for name, candidate, goal in (
        ("plugin, recorder: 10,000 tests", "recording", "at most 1.08 x, and below --junitxml"),
        ("plugin without an environment", "installed", "1 x"),
        ("for comparison: --junitxml", "junitxml", ""),
    ):
        yield Row(name, medians[candidate], "bare pytest", medians["bare"], "s cpu", goal, _ROUNDS)
    name, goal = "sampling: 10,000 tests", "at most 1 s more, 0.1 ms a test"
    yield Row(name, medians["sampling"], "without sampling", medians["recording"], "s cpu", goal, _ROUNDS)


def _write_project(root: Path) -> None:
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n", encoding="utf-8")
    (root / "environments").mkdir()
    (root / "environments" / "empty.toml").write_text('[services.redis]\nkind = "redis"\nsource = "absent"\n', "utf-8")
    tests = "".join(f"def test_{number}():\n    pass\n\n\n" for number in range(_TESTS_PER_FILE))
    for number in range(_FILES):
        (root / f"test_{number}.py").write_text(tests, encoding="utf-8")


def _cpu_seconds(root: Path, *words: str) -> float:
    """Run pytest with no plugin but those named; return the processor time, user and system, of that process."""
    hidden = {"PYTHONDONTWRITEBYTECODE", "PYTEST_ADDOPTS", "MATRIX_ENVIRONMENT"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-m", "pytest", "-q", f"--rootdir={root}", *words, str(root)]
    (root / _RUN_FILE).unlink(missing_ok=True)  # the recorder overwrites nothing
    log = str(root / "pytest.log")
    to_log = (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    pid = os.posix_spawn(sys.executable, command, env, file_actions=[to_log, (os.POSIX_SPAWN_DUP2, 1, 2)])
    _, status, usage = os.wait4(pid, 0)
    if status:
        tail = Path(log).read_text(encoding="utf-8", errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}:\n{tail}")
    return usage.ru_utime + usage.ru_stime
