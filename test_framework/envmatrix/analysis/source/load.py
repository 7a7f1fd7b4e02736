"""Load the facts of files: those of unchanged files from the cache, others by parsing, in several processes if they are many."""

from __future__ import annotations

import gc
import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeAlias

import msgspec

from envmatrix.analysis.source.arriving import Arriving
from envmatrix.analysis.source.cache import Cache, Stamp
from envmatrix.analysis.source.facts import FIXTURES_AND_TESTS, Head, Module, Unread, Wanted
from envmatrix.analysis.source.parse_file import LARGEST, TOO_LARGE, digest_of_file, parse_file
from envmatrix.analysis.source.workers import CannotStartError, encode, parse_in_processes

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of files that are done, and of all."""

_WORTH_PROCESSES = 1 << 19
"""Bytes of source, a quarter of a second's work: with fewer, starting processes takes longer than they save."""
_MOST_PROCESSES = 8
"""With more, the parent could not keep up with decoding their facts."""

_decode = msgspec.msgpack.Decoder(Module).decode
_decode_head = msgspec.msgpack.Decoder(Head).decode


def load_modules(
    paths: Iterable[str],
    *,
    wanted: Wanted = FIXTURES_AND_TESTS,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> dict[str, Module]:
    """Return the facts of files by their paths, in the given order; a file that cannot be read says why.

    Args:
        paths: Files, absolute.
        wanted: Handed on to `parse`.
        cache: Facts of earlier runs, opened with the same contracts among its options.
        progress: Called after each file.
    """
    changes = load_changes(paths, wanted=wanted, cache=cache, progress=progress)
    modules: dict[str, Module] = {}
    not_cached: dict[str, Stamp] = {}
    with no_garbage_collection():
        for path, facts in changes.items():
            module = facts if isinstance(facts, Module) else _cached(facts.digest, wanted, cache)
            if module is not None:
                modules[path] = module
            elif isinstance(stamp := _stamp(path), Stamp):
                not_cached[path] = stamp
            else:
                modules[path] = stamp
        modules |= _parsed(not_cached, wanted, cache)
    return {path: modules[path] for path in changes}


def load_changes(
    paths: Iterable[str],
    *,
    wanted: Wanted = FIXTURES_AND_TESTS,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Arriving:
    """Return the facts of new and changed files, and the heads of unchanged ones, by their paths in the given order.

    Files are still parsed while the facts of the first ones are used. The arguments are those of `load_modules`.
    """
    paths = list(paths)
    here: dict[str, Module | Head] = {}
    stamps: dict[str, Stamp] = {}
    for path in paths:
        stamp = _stamp(path)
        if isinstance(stamp, Module):
            here[path] = stamp
        else:
            stamps[path] = stamp
    if cache is not None:
        for path, head in cache.unchanged(stamps):
            with suppress(msgspec.DecodeError):
                here[path] = _decode_head(head)
                del stamps[path]
        for path in list(stamps):
            digest = digest_of_file(path)
            if (module := _cached(digest, wanted, cache)) is not None:
                cache.remember(path, stamps.pop(path), digest, encode(Head.of(module)))
                here[path] = module
    return Arriving(paths, here, _parsed(stamps, wanted, cache), progress)


def _cached(digest: bytes, wanted: Wanted, cache: Cache | None) -> Module | None:
    """Return the cached facts of some bytes; None where there are none, or not all that is wanted."""
    facts = cache.get(digest) if cache is not None and digest else None
    with suppress(msgspec.DecodeError):
        module = _decode(facts) if facts is not None else None
        return module if module and (module.parts or module.unread or not wanted.parts) else None
    return None


def _parsed(stamps: Mapping[str, Stamp], wanted: Wanted, cache: Cache | None) -> Generator[tuple[str, Module]]:
    """Yield the facts of files, parsed now, and keep them in the cache."""
    for path, module in _parse({path: stamp.size for path, stamp in stamps.items()}, wanted):
        if cache is not None and module.digest:
            cache.put(module.digest, encode(module))
            cache.remember(path, stamps[path], module.digest, encode(Head.of(module)))
        yield path, module


def _parse(sizes: dict[str, int], wanted: Wanted) -> Iterator[tuple[str, Module]]:
    """Yield the facts of files, in several processes if there is enough to parse."""
    left = dict(sizes)
    processes = min(usable_processors(), _MOST_PROCESSES)
    if processes > 1 and sum(sizes.values()) >= _WORTH_PROCESSES:
        with suppress(CannotStartError):
            for name, facts in parse_in_processes(sizes.items(), wanted, processes):
                path = os.fsdecode(name)
                del left[path]
                yield path, _decode(facts)
    for path in left:
        yield path, parse_file(path, wanted)


def _stamp(path: str) -> Stamp | Module:
    """Return a file's stamp, or why it is not to be opened: reading a pipe would wait for ever."""
    try:
        status = os.stat(path)  # noqa: PTH116 -- paths are text here, for there are very many
    except (OSError, ValueError) as error:
        return Module(unread=Unread(f"it cannot be opened: {getattr(error, 'strerror', error)}"))
    if not stat.S_ISREG(status.st_mode):
        return Module(unread=Unread("it is no regular file"))
    return TOO_LARGE if status.st_size > LARGEST else Stamp.of(status)


def usable_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Switch garbage collection off: facts and syntax trees hold no cycles, and looking for them takes a third of the time.

    What is there in the end counts as old, so that it is not looked through at once.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not gc.get_freeze_count():  # nobody else's values are frozen, and would thaw
                gc.freeze()
                gc.unfreeze()
            gc.enable()
