"""Runs one suite without us and with us, and compares three records: pytest's own of both, and our run file."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envmatrix.exceptions import RunFileError
from envmatrix.runs.file import read_run
from envmatrix.runs.outcomes import Outcome
from tests.differential.suites import Suite

DECLARATION = '[services.redis]\nkind = "redis"\nsource = "absent"\n'
_PLUGIN = Path(__file__).parent / "plugin"
_LEFT_OUT = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:valkey")
"""Plugins of our own development: no suite knows them, and some make errors of their warnings."""
_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Difference:
    """One test that did not come out the same."""

    test: str
    without: str
    record: str
    """In pytest's own record of the run with us."""
    cell: str
    """In our run file."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came out of one suite, run in one way."""

    outcomes: Mapping[str, str]
    """Test → outcome, without us."""
    differences: tuple[Difference, ...]
    exit_codes: tuple[int, int]


def compare(suite: Suite, options: Sequence[str], scratch: Path) -> Comparison:
    """Run a suite twice, and compare."""
    run_file, environments = scratch / "run.jsonl", scratch / "environments"
    run_file.unlink(missing_ok=True)
    environments.mkdir(exist_ok=True)
    (environments / "bare.toml").write_text(DECLARATION)
    ours = [f"--matrix-environments={environments}", "--matrix-environment=bare", f"--matrix-run-file={run_file}"]
    ours.append(f"--matrix-test-deadline={_SECONDS}")  # by default a test has a minute, which a busy machine may need
    first, without = _run(suite, ["-p", "no:envmatrix", *options], scratch)
    second, record = _run(suite, [*ours, *options], scratch)
    cells: dict[str, str] = {}
    with contextlib.suppress(RunFileError):  # nothing was collected: the exit codes tell
        # What was planned and not run has no report.
        cells = {
            test: cell.outcome.value
            for test, cell in read_run(run_file).cells.items()
            if cell.outcome is not Outcome.NOT_RUN
        }
    differences = tuple(
        Difference(test, *outcomes)
        for test in sorted(without.keys() | record.keys() | cells.keys())
        if len({*(outcomes := tuple(each.get(test, "absent") for each in (without, record, cells)))}) > 1
    )
    return Comparison(without, differences, (first, second))


def _run(suite: Suite, options: Sequence[str], scratch: Path) -> tuple[int, dict[str, str]]:
    """Run a suite; return pytest's exit code, and the outcome of each test."""
    record = scratch / "record.jsonl"
    record.write_text("")  # a run that ends in its configuration writes none
    command = [sys.executable, "-m", "pytest", "-q", "-p", "own_record", *_LEFT_OUT, *options, suite.tests]
    path = os.pathsep.join((str(_PLUGIN), str(suite.root)))
    env = {**os.environ, "PYTHONPATH": path, "OWN_RECORD": str(record), "PYTHONHASHSEED": "0"}
    with (scratch / "output.txt").open("ab") as output:
        done = subprocess.run(
            command, cwd=suite.root, env=env, stdout=output, stderr=output, timeout=_SECONDS, check=False
        )
    return done.returncode, outcomes_of(map(json.loads, record.read_text(errors="surrogatepass").splitlines()))


def outcomes_of(reports: Iterable[tuple[str, str, str, bool]]) -> dict[str, str]:
    """Return the outcome of each test by the reports of its phases: the worst of them."""
    outcomes: dict[str, str] = {}
    for test, when, reported, xfail in reports:
        outcome = {"skipped": "xfailed", "passed": "xpassed"}.get(reported, reported) if xfail else reported
        worse = outcome == "failed" or outcomes.get(test) in {None, "passed"}
        if (outcome != "passed" or when == "call") and worse:
            outcomes[test] = outcome
    return outcomes
