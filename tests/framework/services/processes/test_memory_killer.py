"""The kernel's count of processes that it killed for want of memory, in the files of every layout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from envmatrix.services.processes.memory_killer import MemoryKiller
from tests.framework.memory_group import memory_group


@pytest.mark.fault("oom-kill")
@pytest.mark.parametrize(
    ("group", "counter"),
    [
        ("0::/ours", "groups/ours/memory.events"),
        ("0::/of-the-host", "groups/memory.events"),
        ("4:memory:/ours\n0::/", "groups/memory/ours/memory.oom_control"),
        ("4:memory:/of-the-host\n0::/", "groups/memory/memory.oom_control"),
        ("", "proc/vmstat"),
    ],
)
def test_a_kill_is_noticed_wherever_it_is_counted(tmp_path: Path, group: str, counter: str) -> None:
    """Both versions of control groups, inside of a container and outside; the whole machine where there are none."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(group)
    file = tmp_path / counter
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("oom_kill_disable 0\noom_kill 3\n")
    killer = MemoryKiller(tmp_path / "proc", tmp_path / "groups")
    assert not killer.was_at_work()
    file.write_text("oom_kill_disable 0\noom_kill 4\n")
    assert killer.was_at_work()


def test_nothing_is_noticed_where_nothing_is_counted(tmp_path: Path) -> None:
    """Another system, or one that hides its files."""
    assert not MemoryKiller(tmp_path, tmp_path).was_at_work()


@pytest.mark.fault("oom-kill")
def test_the_kernels_own_kill_is_noticed() -> None:
    """A child that takes more than its group may have is killed by signal 9, and its parent knows why."""
    program = (
        "import os, pathlib, sys\n"
        "pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))\n"
        "from envmatrix.services.processes.memory_killer import MemoryKiller\n"
        "killer = MemoryKiller()\n"
        "if os.fork() == 0: bytearray(b'x') * (200 << 20)\n"
        "print(os.wait()[1], killer.was_at_work())"
    )
    with memory_group(40 << 20) as joining:
        command = [sys.executable, "-c", program, joining]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "9 True\n"
