"""Contexts of a run: which functions each test ran. They are kept beside the run file, compressed."""

from __future__ import annotations

import gzip
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from envmatrix.exceptions import RunFileError
from envmatrix.runs.file import read_header
from envmatrix.safety.input_files import open_regular

_SUFFIX = ".contexts.json.gz"
_MOST = 256 << 20
"""Bytes of unpacked contexts; a few kilobytes may unpack to any number."""


_SCHEMA = 2
"""Contexts of another one are not read: 1 did not tell the functions inside of functions apart."""


class RanFunction(msgspec.Struct, frozen=True, array_like=True):
    """A function that was run, as its source was then."""

    path: str
    name: str
    """With those around it, as in `cached.<locals>.wrapper`."""
    digest: str
    """Of the function or method that it is, or is inside of."""


class Contexts(msgspec.Struct, frozen=True):
    """The functions that the tests of one run ran."""

    functions: tuple[RanFunction, ...] = ()
    tests: dict[str, tuple[int, ...]] = {}
    """Test, without parameters → its functions, as numbers."""
    files: dict[str, tuple[int, ...]] = {}
    """File → the functions that its import ran."""
    shared: tuple[int, ...] = ()
    """Functions that ran for no test alone: in a hook, below a cache, before the recording."""
    unknown: tuple[str, ...] = ()
    """Tests that ran something unseen: they started a process, or used a profiler themselves."""
    schema: int = 1

    def __post_init__(self) -> None:
        """Refuse a number of no function.

        Raises:
            ValueError: there is one.
        """
        known = range(len(self.functions))
        if any(
            number not in known for ran in (*self.tests.values(), *self.files.values(), self.shared) for number in ran
        ):
            raise ValueError("a number of no function")

    def named(self, numbers: Iterable[int]) -> list[RanFunction]:
        """Return functions by their numbers."""
        return [self.functions[number] for number in numbers]

    def only(self, tests: Collection[str]) -> Contexts:
        """Return the contexts of some of the tests."""
        known = {test: ran for test, ran in self.tests.items() if test in tests}
        return Contexts(self.functions, known, self.files, self.shared, schema=self.schema)

    def write(self, run_file: Path) -> None:
        """Write them beside a run file."""
        _beside(run_file).write_bytes(gzip.compress(msgspec.json.encode(self), mtime=0))


NO_CONTEXTS = Contexts()
"""Of a run that did not record them."""


def numbered(
    tests: Mapping[str, Iterable[RanFunction]],
    files: Mapping[str, Iterable[RanFunction]],
    shared: Iterable[RanFunction],
    unknown: Collection[str],
) -> Contexts:
    """Return contexts of functions; tests of which something is unknown are left out."""
    numbers: dict[RanFunction, int] = {}

    def of(functions: Iterable[RanFunction]) -> tuple[int, ...]:
        return tuple(sorted({numbers.setdefault(each, len(numbers)) for each in functions}))

    known = {test: of(functions) for test, functions in tests.items() if test not in unknown}
    imported = {path: ran for path, functions in files.items() if (ran := of(functions))}
    everywhere = of(shared)
    return Contexts(tuple(numbers), known, imported, everywhere, tuple(sorted(unknown)), _SCHEMA)


def merged(parts: Iterable[Contexts]) -> Contexts:
    """Return the contexts of several processes, or runs, as one."""
    tests: dict[str, set[RanFunction]] = defaultdict(set)
    files: dict[str, set[RanFunction]] = defaultdict(set)
    shared: set[RanFunction] = set()
    unknown: set[str] = set()
    for part in parts:
        for test, ran in part.tests.items():
            tests[test].update(part.named(ran))
        for path, ran in part.files.items():
            files[path].update(part.named(ran))
        shared.update(part.named(part.shared))
        unknown.update(part.unknown)
    return numbered(tests, files, shared, unknown)


def _beside(run_file: Path) -> Path:
    return run_file.with_name(run_file.stem + _SUFFIX)


def read_contexts(run_file: Path) -> Contexts:
    """Return the contexts of a run; none if they were not recorded or cannot be read."""
    try:
        with open_regular(_beside(run_file)) as packed, gzip.open(packed) as unpacked:
            content = unpacked.read(_MOST + 1)
        contexts = msgspec.json.decode(content, type=Contexts) if len(content) <= _MOST else NO_CONTEXTS
    except (OSError, EOFError, msgspec.MsgspecError, RecursionError, zlib.error):
        return NO_CONTEXTS
    return contexts if contexts.schema == _SCHEMA else NO_CONTEXTS


def contexts_at(runs_dir: Path, environment: str, commit: str) -> Contexts:
    """Return the contexts of the last run of an environment at exactly this commit; none if there is no such run."""
    for path in sorted(runs_dir.glob(f"*/{environment}{_SUFFIX}"), reverse=True):
        run_file = path.with_name(f"{environment}.jsonl")
        with suppress(RunFileError):
            header = read_header(run_file)
            if header.commit == commit and not header.dirty:
                return read_contexts(run_file)
    return NO_CONTEXTS
