"""How many environments are run at once, and in which order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec import structs

from envmatrix.runner import turns
from envmatrix.runner.processes import Job
from tests.framework.run_files import footer, write_run


@pytest.mark.parametrize(("cores", "gib", "number"), [(1, 64, 2), (8, 3, 3), (4, 0, 1), (4, 64, 8)])
def test_cores_and_memory_limit_what_runs_at_once(
    cores: int, gib: float, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two for each core, one for each GiB of free memory, at least one."""
    monkeypatch.setattr(turns.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(turns.psutil, "virtual_memory", lambda: SimpleNamespace(available=int(gib * (1 << 30))))
    assert turns.carried() == number


def test_what_took_longest_is_started_first(tmp_path: Path) -> None:
    """By the last complete run; what has none may take any time, and goes before."""
    jobs = [Job(name, name, (), tmp_path / name, tmp_path / name, tmp_path) for name in ("quick", "slow", "new")]
    for name, seconds in (("quick", 1.0), ("slow", 60.0)):
        path = tmp_path / "runs" / "20260102T030405Z-abc" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_run(path, environment=name, end=structs.replace(footer(), duration=seconds))
    assert [job.environment for job in turns.longest_first(jobs, tmp_path / "runs")] == ["new", "slow", "quick"]
