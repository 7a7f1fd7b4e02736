"""The sampler of a run: a process of its own, so that it disturbs no test and no test's patched world reaches it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from envmatrix.runs.events import FindingRecord
from envmatrix.runs.file import read_run, read_samples
from envmatrix.runs.limits import crossed, has_limits
from envmatrix.runs.rules import RuleCode
from envmatrix.runs.samples import attempts_of
from envmatrix.safety.private import open_private
from envmatrix.safety.unpatched import HeldCopy
from envmatrix.services.processes.log_lines import log_tail
from envmatrix.services.processes.supervisor_directory import MARK, SupervisorDirectory

if TYPE_CHECKING:
    from envmatrix.plugin.process import Process

_PATIENCE = 3.0
"""Seconds for the last sample, on a machine that has just begun to import the program."""


class Sampling:
    """Starts the sampler beside a run, ends it, and judges the declaration's limits by what it saw."""

    def __init__(self, process: Process, began: float) -> None:
        self._process = process
        self._began = began
        self._sampler: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the sampler, which appends to the run file until its standard input ends."""
        run = SupervisorDirectory(self._process.run_dir)
        program = [sys.executable, "-P", "-m", "envmatrix.services.sampling", str(run.path)]
        command = [*program, str(self._process.selection.run_file), str(self._process.sample_every), str(self._began)]
        # As for a supervisor: bytecode switched on, and marked as none of a test's own processes.
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._log = run.log("envmatrix:sampler")
        with open_private(self._log, "wb") as log:
            self._sampler = subprocess.Popen(  # noqa: S603  our own command
                command,
                env={**variables, MARK: str(run.path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        if self._sampler.stdin is not None:
            self._input = HeldCopy(self._sampler.stdin.fileno())
            self._sampler.stdin.close()

    def end(self) -> Iterator[FindingRecord]:
        """End the sampler; yield a finding where it failed, and one for each limit that was crossed."""
        run_file, services = self._process.selection.run_file, self._process.selection.environment.services
        if self._sampler is None or run_file is None:
            return
        self._input.close()
        try:
            code = self._sampler.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._sampler.kill()
            code = self._sampler.wait()
        if code:
            lines = log_tail(self._log).splitlines() or ["no reason given"]
            yield FindingRecord(RuleCode.HARNESS_FAILED, f"the run's sampler ended with {code}: {lines[-1]}")
        if any(map(has_limits, services.values())):
            yield from crossed(services, read_samples(run_file), attempts_of(read_run(run_file)))
