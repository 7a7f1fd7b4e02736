"""The program that samples a run, from its own process, until its standard input ends or the run's owner does."""

from __future__ import annotations

import argparse
import select
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from envmatrix.runs.file import event_line
from envmatrix.safety.unpatched import REAL, HeldFile
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory
from envmatrix.services.sampling.sampler import Sampler
from envmatrix.services.supervisor import SupervisorClient

_OWNER_CHECK = 2.0
"""Seconds between checks of the owner: a child that it forked may keep our standard input open after its end."""


def main() -> None:
    """Append a sample to the run file every so often, and one at the end."""
    parser = argparse.ArgumentParser(prog="envmatrix-sampler")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("run_file", type=Path)
    parser.add_argument("every", type=float, help="seconds from one sample to the next")
    parser.add_argument("began", type=float, help="the run's start on the monotonic clock")
    arguments = parser.parse_args()
    run = SupervisorDirectory(arguments.run_dir)
    owner = ProcessIdentity.read(run.owner)
    client = SupervisorClient(run.path, "", run.path)  # it starts nothing, so it needs no declaration
    sampler = Sampler(client, arguments.began)
    file = HeldFile(arguments.run_file, 0, 0o644)
    goes_on = True
    while goes_on:
        due = REAL.clock() + arguments.every
        file.write(event_line(sampler.sample(_testing(run))))
        while goes_on and (left := due - REAL.clock()) > 0:
            goes_on = not select.select([sys.stdin], [], [], min(left, _OWNER_CHECK))[0]
            if owner is None or owner.process() is None:
                return
    file.write(event_line(sampler.sample(_testing(run))))


def _testing(run: SupervisorDirectory) -> Mapping[str, list[psutil.Process]]:
    """Return the processes that run tests, by name."""
    found = {name: ProcessIdentity.read(path) for name, path in run.testing().items()}
    return {name: [process] for name, each in found.items() if each and (process := each.process())}


if __name__ == "__main__":
    main()
