"""How many environments are run at once, and which come first."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import psutil

from envmatrix.runner.processes import Job
from envmatrix.runs.directory import last_complete
from envmatrix.runs.file import read_footer

_GIB = 1 << 30


def carried() -> int:
    """Return how many environments this machine carries at once: two for each core, and one for each GiB of free memory."""
    affinity = getattr(os, "sched_getaffinity", None)  # what a container or taskset leaves us; Linux only
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(2 * cores, psutil.virtual_memory().available // _GIB))


def longest_first(jobs: Sequence[Job], runs_dir: Path) -> list[Job]:
    """Return jobs, what took longest in its last complete run first, and before it what was never run."""

    def seconds(job: Job) -> float:
        path = last_complete(runs_dir, job.environment)
        footer = read_footer(path) if path else None
        return footer.duration if footer else math.inf

    return sorted(jobs, key=seconds, reverse=True)
