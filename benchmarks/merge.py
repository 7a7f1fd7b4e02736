"""What merging and judging shards costs: against reading the same files with json.loads, line by line, or held as a whole.

Each measurement is a process of its own, so that its peak of memory is its own too: `python -m benchmarks.merge WHAT DIR`.
Time is the processor's, and the least of some rounds: the work is all of one thread, and other work only adds to it.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.rows import Row
from envmatrix.environments import GatePolicy
from envmatrix.gate.baseline import now
from envmatrix.gate.decide import decide
from envmatrix.matrix.table import matrix_of
from envmatrix.runs.directory import RunDir
from envmatrix.runs.events import Attempt, Bodies, Evidence, Footer, Header, Suite
from envmatrix.runs.file import RunWriter, digest
from envmatrix.runs.merge import merge
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.shards import Shard, cut, cut_digest

_ENVIRONMENTS, _SHARDS = 6, 4
_ROUNDS = 5
_FAILING = 0.01
_SERVICES = ("auth", "backend", "database")


@dataclass(frozen=True)
class _Measurement:
    """Measurements of one process."""

    seconds: float
    """Processor seconds, the kernel's included."""
    megabytes: float
    """The peak of memory above that at the start."""


def measure() -> Iterable[Row]:
    """Merge 6 environments of 10,000 tests in 4 shards each, and a quarter of that."""
    return _measure(tests=10_000, fewer=2_500, rounds=_ROUNDS)


def measure_million() -> Iterable[Row]:
    """Merge a million cells."""
    return _measure(tests=1_000_000 // _ENVIRONMENTS, fewer=10_000, rounds=3)


def _measure(*, tests: int, fewer: int, rounds: int) -> Iterator[Row]:
    with TemporaryDirectory(prefix="envmatrix-bench-") as directory:
        many, few = Path(directory, "many"), Path(directory, "few")
        _write_shards(many, tests)
        _write_shards(few, fewer)
        measurements: dict[tuple[str, Path], list[_Measurement]] = {}
        for _ in range(rounds):
            for what, where in (("merge", many), ("lines", many), ("whole", many), ("merge", few)):
                measurements.setdefault((what, where), []).append(_in_a_process(what, where))
    seconds = {key: min(each.seconds for each in runs) for key, runs in measurements.items()}
    memory = {key: median(each.megabytes for each in runs) for key, runs in measurements.items()}
    ours, cells = ("merge", many), f"{_ENVIRONMENTS * tests:,} cells"
    yield Row(
        f"merge, gate {cells}, {_ENVIRONMENTS * _SHARDS} shards",
        seconds[ours],
        "json.loads, by line",
        seconds["lines", many],
        goal="at most 2 x",
        samples=rounds,
    )
    yield Row(
        "its peak of memory", memory[ours], "all lines held", memory["whole", many], "MB", "at most 0.333 x", rounds
    )
    per_cell = {
        where: 1e6 * seconds["merge", where] / (_ENVIRONMENTS * count) for where, count in ((many, tests), (few, fewer))
    }
    yield Row(
        "a cell of these", per_cell[many], f"of {_ENVIRONMENTS * fewer:,}", per_cell[few], "µs", "1 x: linear", rounds
    )


def _in_a_process(what: str, where: Path) -> _Measurement:
    command = [sys.executable, "-m", "benchmarks.merge", what, str(where)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=1800)  # noqa: S603  our own command
    return _Measurement(**json.loads(done.stdout))


def _merge(where: Path) -> object:
    with TemporaryDirectory(dir=where.parent) as target:
        matrix = matrix_of(merge([where], lambda labels: RunDir.at(Path(target), labels)).load())
        return decide(matrix, GatePolicy(), baseline=None, waivers=(), now=now())


def _lines(where: Path) -> object:
    for path in where.glob("*.jsonl"):
        with path.open("rb") as stream:
            for line in stream:
                json.loads(line)
    return None


def _whole(where: Path) -> object:
    return [[json.loads(line) for line in path.open("rb")] for path in where.glob("*.jsonl")]


def _write_shards(where: Path, tests: int) -> None:
    chance = random.Random(1)  # noqa: S311  the same files each time
    suite = tuple(
        f"tests/e2e/test_module_{n // 50}.py::TestPart::test_behaviour_{n % 50}[case-{n % 7}]" for n in range(tests)
    )
    durations = {test: chance.random() for test in suite}
    numbers = cut(suite, durations, _SHARDS)
    for environment in (f"environment-{number}" for number in range(_ENVIRONMENTS)):
        for number in range(1, _SHARDS + 1):
            planned = tuple(test for test, of in zip(suite, numbers, strict=True) if of == number)
            shard = Shard(number, _SHARDS)
            writer = RunWriter(RunDir(where).run_file(environment, shard))
            writer.write(
                Header(
                    run_id=f"{environment}-{number}",
                    environment=environment,
                    label=environment,
                    started_at="2026-01-02T03:04:05.678+00:00",
                    commit="c" * 40,
                    sources=dict.fromkeys(_SERVICES, "process"),
                    versions={"contract": "1.0.0"},
                    planned=planned,
                    planned_digest=digest(planned),
                    shard=str(shard),
                    suite_size=len(suite),
                    suite_digest=digest(suite),
                    cut_digest=cut_digest(suite, numbers),
                )
            )
            writer.write(Suite(tests=suite))
            for test in chance.sample(planned, len(planned)):  # as workers of xdist end them
                if chance.random() < _FAILING:
                    writer.write(_failed(test, durations[test]))
                else:
                    writer.write(_passed(test, durations[test]))
            writer.write(Bodies(digests=("0123456789ab",) * len(planned)))
            writer.write(Footer(ended_at="2026-01-02T03:24:05.678+00:00", duration=1200.0, exit_code=1))
            writer.close()


def _passed(test: str, seconds: float) -> Attempt:
    capabilities = (*_SERVICES, "websocket")
    return Attempt(test, Outcome.PASSED, round(seconds, 6), "gw1", services=_SERVICES, capabilities=capabilities)


def _failed(test: str, seconds: float) -> Attempt:
    evidence = Evidence("L401", "assert 1 == 2", "call", "tests/e2e/test_module.py:7", detail="assert 1 == 2\n" * 100)
    return Attempt(test, Outcome.FAILED, seconds, "gw1", cause=Cause.LOGIC, evidence=evidence, services=_SERVICES)


_WHAT: dict[str, Callable[[Path], object]] = {"merge": _merge, "lines": _lines, "whole": _whole}


def _memory(key: str) -> float:
    """Return what /proc tells of this process, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(float(line.split()[1]) for line in status.splitlines() if line.startswith(key)) / 1000


def main(what: str, where: Path) -> None:
    """Do one thing; print what it took."""
    before = _memory("VmRSS")
    began = time.process_time()
    kept = _WHAT[what](where)
    seconds = time.process_time() - began
    print(json.dumps({"seconds": seconds, "megabytes": _memory("VmHWM") - before}))  # noqa: T201  it is read by whoever asked
    del kept


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
