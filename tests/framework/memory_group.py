"""A control group with little memory, for tests of what the kernel kills."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """Make a group below this process's own; yield the file that takes the id of a process which joins it."""
    name = f"envmatrix-test-{os.getpid()}"
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        path = next(line.split(":", 2)[2] for line in lines if line.split(":")[1] == "memory")
        group = Path(f"/sys/fs/cgroup/memory{path}/{name}")
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(limit))
    except (OSError, StopIteration):
        pytest.skip("no control group of memory can be made here")
    try:
        yield group / "cgroup.procs"
    finally:
        group.rmdir()
