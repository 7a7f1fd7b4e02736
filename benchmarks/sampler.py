"""What the sampler takes of a processor while it looks at `local` once a second: its own process, after its start."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.rows import Row
from envmatrix.environments import load_environment
from envmatrix.safety.unpatched import REAL
from envmatrix.services.supervisor import Owner, SupervisorClient

_SECONDS = 20


def measure() -> Iterable[Row]:
    """Start `local`, and sample it."""
    environment = load_environment("local", Path("environments"))
    with closing(Owner()) as owner, TemporaryDirectory(prefix="envmatrix-bench-") as scratch:
        client = SupervisorClient(owner.run_dir, "local", Path("environments"), declared=environment)
        client.start(environment.services)
        samples = Path(scratch) / "samples.jsonl"
        program = [sys.executable, "-m", "envmatrix.services.sampling", str(owner.run_dir)]
        command = [*program, str(samples), "1", str(REAL.clock())]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as sampler:  # noqa: S603  our own command
            while not samples.exists() or samples.read_bytes().count(b"\n") < 2:  # noqa: PLR2004  it is under way
                time.sleep(0.1)
            process = psutil.Process(sampler.pid)
            before = process.cpu_times()
            time.sleep(_SECONDS)
            after = process.cpu_times()
    took = (after.user + after.system - before.user - before.system) / _SECONDS
    yield Row("sampler, once a second: local", took, "one core", 1.0, "s cpu", "at most 0.01 x", _SECONDS)
