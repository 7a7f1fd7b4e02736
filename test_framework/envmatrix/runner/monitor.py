"""Run a command of any kind against an environment, and record what that uses meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from envmatrix.environments import Environment
from envmatrix.git import working_tree
from envmatrix.masking import MASKER
from envmatrix.runner.processes import run_command
from envmatrix.runs.events import Footer, Header
from envmatrix.runs.file import RunWriter, read_samples
from envmatrix.runs.limits import crossed
from envmatrix.runs.reused import versions
from envmatrix.safety.unpatched import REAL
from envmatrix.services.sampling import Sampler, tree
from envmatrix.services.supervisor import SupervisorClient


def run_monitored(
    command: Sequence[str], client: SupervisorClient, environment: Environment, run_file: Path, every: float
) -> int:
    """Run a command, with a sample every so many seconds and one before and after it; return its exit code.

    The samples are in a run file of no tests, with each limit of the declaration that was crossed.

    Raises:
        UsageError: the command cannot be started.
    """
    began = due = REAL.clock()
    with closing(RunWriter(run_file)) as writer, closing(Sampler(client, began)) as sampler:

        def look(pid: int) -> None:
            nonlocal due
            if REAL.clock() >= due:
                due = REAL.clock() + every
                writer.write(sampler.sample({"command": tree(pid)}))

        writer.write(_header(environment, run_file.parent))
        writer.write(sampler.sample({}))
        code = run_command(command, look)
        writer.write(sampler.sample({}))
        for finding in crossed(environment.services, read_samples(run_file), ()):
            writer.write(finding)
        writer.write(Footer(ended_at=_now(), duration=REAL.clock() - began, exit_code=code))
    return code


def _header(environment: Environment, directory: Path) -> Header:
    here = working_tree(directory)
    return Header(
        run_id=uuid.uuid4().hex,
        environment=environment.name,
        label=environment.label,
        started_at=_now(),
        commit=here.commit,
        commit_problem=MASKER.mask(here.problem),
        dirty=here.dirty,
        sources={name: spec.source.value for name, spec in environment.services.items()},
        versions=versions(),
        planned=(),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
