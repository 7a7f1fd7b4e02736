"""Read many files: what did not change comes from the cache, the rest is parsed, in several processes where there is much."""

from __future__ import annotations

import gc
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TypeAlias

import msgspec

from envmatrix.analysis.source.cache import Cache, Stamp
from envmatrix.analysis.source.facts import Head, Module
from envmatrix.analysis.source.workers import (
    LARGEST,
    TOO_LARGE,
    CannotStartError,
    digest_of_file,
    encode,
    read_file,
    read_in_processes,
)

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many files are done, and of how many."""

_WORTH_PROCESSES = 1 << 19
"""Bytes of source, a quarter of a second's work, from which on several processes gain more than their start takes."""
_MOST_PROCESSES = 8
"""Beyond these, one process could not keep up with decoding what they find."""

_decode = msgspec.msgpack.Decoder(Module).decode
_decode_head = msgspec.msgpack.Decoder(Head).decode


def read_one(path: str, *, contracts: frozenset[str] = frozenset(), cache: Cache | None = None) -> Module:
    """Return the facts of one file; one that cannot be read says why."""
    return read_all([path], contracts=contracts, cache=cache)[path]


def read_all(
    paths: Iterable[str],
    *,
    contracts: frozenset[str] = frozenset(),
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> dict[str, Module]:
    """Return the facts of files by their paths, in the order given; a file that cannot be read says why.

    Args:
        paths: Files, absolute.
        contracts: Names of contract fixtures, handed on to `read`.
        cache: Facts of earlier runs, opened with the same contracts among its options.
        progress: Is told of every step.
    """
    found = look(paths, contracts=contracts, cache=cache, progress=progress)
    known: dict[str, Module] = {}
    lost: dict[str, Stamp] = {}
    for path, each in found.items():
        module = each if isinstance(each, Module) else _cached(each.digest, cache)
        if module is not None:
            known[path] = module
        elif isinstance(status := _status(path), Stamp):
            lost[path] = status
        else:
            known[path] = status
    known |= _parsed(lost, contracts, cache)
    return {path: known[path] for path in found}


def look(
    paths: Iterable[str],
    *,
    contracts: frozenset[str] = frozenset(),
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> dict[str, Module | Head]:
    """Return the facts of files by their paths, in the order given; of those that did not change, the head is enough.

    Args:
        paths: Files, absolute.
        contracts: Names of contract fixtures, handed on to `read`.
        cache: Facts of earlier runs, opened with the same contracts among its options.
        progress: Is told of every step.
    """
    found: dict[str, Module | Head | None] = dict.fromkeys(paths)
    total, done = len(found), 0
    with no_garbage_collection():
        for path, each in _look(list(found), contracts, cache):
            found[path] = each
            done += 1
            if progress is not None:
                progress(done, total)
    return {path: each for path, each in found.items() if each is not None}


def _look(paths: Sequence[str], contracts: frozenset[str], cache: Cache | None) -> Iterator[tuple[str, Module | Head]]:
    stamps: dict[str, Stamp] = {}
    for path in paths:
        status = _status(path)
        if isinstance(status, Module):
            yield path, status
        else:
            stamps[path] = status
    if cache is not None:
        for path, head in cache.unchanged(stamps):
            with suppress(msgspec.DecodeError):
                yield path, _decode_head(head)
                del stamps[path]
        for path in list(stamps):
            digest = digest_of_file(path)
            if (module := _cached(digest, cache)) is not None:
                cache.remember(path, stamps.pop(path), digest, encode(Head.of(module)))
                yield path, module
    yield from _parsed(stamps, contracts, cache)


def _cached(digest: bytes, cache: Cache | None) -> Module | None:
    """Return the facts of some bytes; None where they are not known."""
    facts = cache.get(digest) if cache is not None and digest else None
    with suppress(msgspec.DecodeError):
        return _decode(facts) if facts is not None else None
    return None


def _parsed(
    stamps: Mapping[str, Stamp], contracts: frozenset[str], cache: Cache | None
) -> Iterator[tuple[str, Module]]:
    """Yield the facts of files that are parsed for that, and keep them."""
    for path, digest, facts in _parse({path: stamp.size for path, stamp in stamps.items()}, contracts):
        module = _decode(facts) if isinstance(facts, bytes) else facts
        if cache is not None and digest:
            cache.put(digest, facts if isinstance(facts, bytes) else encode(facts))
            cache.remember(path, stamps[path], digest, encode(Head.of(module)))
        yield path, module


def _parse(sizes: dict[str, int], contracts: frozenset[str]) -> Iterator[tuple[str, bytes, Module | bytes]]:
    """Yield path, digest and facts of files, these as bytes where another process read them."""
    left = dict(sizes)
    processes = min(usable_processors(), _MOST_PROCESSES)
    if processes > 1 and sum(sizes.values()) >= _WORTH_PROCESSES:
        with suppress(CannotStartError):
            for name, digest, facts in read_in_processes(sizes.items(), contracts, processes):
                path = os.fsdecode(name)
                del left[path]
                yield path, digest, facts
    for path in left:
        yield path, *read_file(path, contracts)


def _status(path: str) -> Stamp | Module:
    """Return a file's stamp, or why it is not to be opened: a pipe would be waited for."""
    try:
        status = os.stat(path)  # noqa: PTH116 -- paths are text here, for there are very many
    except (OSError, ValueError) as error:
        return Module(unread=f"it cannot be opened: {getattr(error, 'strerror', error)}")
    if not stat.S_ISREG(status.st_mode):
        return Module(unread="it is no regular file")
    return TOO_LARGE if status.st_size > LARGEST else Stamp.of(status)


def usable_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Facts and trees of syntax hold no circles: looking for them takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
