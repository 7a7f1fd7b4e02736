"""Parse files in several processes: a pool of threads, each with a worker process of its own.

Workers are started afresh, not forked, which is safe beside threads; and without `multiprocessing`, which would import the
command line into each of them and cannot end one that hangs.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from threading import Timer, local
from typing import IO, TypeAlias, cast

import msgspec

from envmatrix.analysis.source.facts import Module, Unread, Wanted
from envmatrix.analysis.source.parse_file import parse_file

ParsedFile: TypeAlias = tuple[bytes, bytes]
"""The path of a file, and its encoded facts."""

_CHUNK_BYTES = 256 << 10
_CHUNK_FILES = 100
_SIZE_BYTES = 4
"""Size of the length that precedes each message."""
_DEADLINE_S = 60.0
"""Deadline of one chunk, which takes a tenth of a second."""
_END_S = 10.0
"""Deadline for reaping a killed process."""
_START = "import sys; sys.path += sys.argv[1:]; from envmatrix.analysis.source.workers import work; work()"

encode = msgspec.msgpack.encode
_decode_files = msgspec.msgpack.Decoder(list[ParsedFile]).decode
_decode_paths = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_wanted = msgspec.msgpack.Decoder(Wanted).decode


class CannotStartError(Exception):
    """A worker cannot be started, or cannot import this package."""


def parse_in_processes(files: Iterable[tuple[str, int]], wanted: Wanted, processes: int) -> Generator[ParsedFile]:
    """Yield the facts of files, in any order.

    A file that ends its worker, or occupies it for a minute, is unread; all others are parsed.

    Args:
        files: Paths and sizes in bytes.
        wanted: Handed on to `parse`.
        processes: The number of workers.

    Raises:
        CannotStartError: a worker cannot be started, or cannot import us. What was yielded until then is right.
    """
    workers = _Workers(wanted)
    pool = ThreadPoolExecutor(processes)
    try:
        for done in as_completed([pool.submit(workers.parse, chunk) for chunk in _chunks(files)]):
            yield from done.result()
    finally:
        workers.kill()
        pool.shutdown(cancel_futures=True)
        for worker in workers.started:
            worker.close()


class _Workers:
    """The worker of each thread, started when it is first needed and again after it has died."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = encode(wanted)
        self._of_thread = local()
        self.started: list[Worker] = []
        self._is_killed = False

    def parse(self, chunk: list[bytes]) -> list[ParsedFile]:
        """Have this thread's worker parse files; if it dies, have new ones parse each file by itself."""
        worker: Worker | None = getattr(self._of_thread, "worker", None)
        if worker is None:
            worker = self._of_thread.worker = Worker(self._wanted)
            self.started.append(worker)
        if self._is_killed:  # meanwhile
            worker.process.kill()
        if reply := worker.ask(encode(chunk)):
            return _decode_files(reply)
        self._of_thread.worker = None
        if len(chunk) == 1 or self._is_killed:
            return [(path, encode(Module(unread=Unread("it ended the process that read it")))) for path in chunk]
        return [parsed for path in chunk for parsed in self.parse([path])]

    def kill(self) -> None:
        """Kill all workers, also one that a thread is just starting."""
        self._is_killed = True
        for worker in self.started:
            worker.process.kill()


class Worker:
    """A process that parses files, and its two pipes.

    Raises:
        CannotStartError: it cannot be started, or cannot import us.
    """

    def __init__(self, wanted: bytes) -> None:
        homes = [str(Path(msgspec.__file__).parents[1]), str(Path(__file__).parents[3])]
        # -I and -S: nothing of the working directory, or of anybody's settings, is imported there.
        command = [sys.executable, "-I", "-S", *(["-B"] if sys.dont_write_bytecode else []), "-c", _START, *homes]
        try:
            self.process = subprocess.Popen(  # noqa: S603 -- ourselves
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
            )
        except OSError as error:
            raise CannotStartError from error
        self.requests, self._replies = cast(IO[bytes], self.process.stdin), cast(IO[bytes], self.process.stdout)
        if not self.ask(wanted):
            self.close()
            raise CannotStartError

    def ask(self, message: bytes) -> bytes:
        """Return the reply to a message; empty if the worker died, or did not reply before its deadline."""
        deadline = Timer(_DEADLINE_S, self.process.kill)
        deadline.start()
        try:
            _send(self.requests, message)
            return _receive(self._replies)
        except BrokenPipeError:
            return b""
        finally:
            deadline.cancel()

    def close(self) -> None:
        """End the process and close its pipes."""
        self.process.kill()
        self.process.wait(_END_S)
        for pipe in (self.requests, self._replies):
            with suppress(OSError):  # a message that was not read any more
                pipe.close()


def work() -> None:
    """Parse chunk after chunk until standard input ends; the main function of a worker."""
    gc.disable()  # syntax trees hold no cycles
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    wanted = _decode_wanted(_receive(requests))
    _send(replies, encode([]))  # has started
    while request := _receive(requests):
        _send(replies, encode([(path, encode(parse_file(path, wanted))) for path in _decode_paths(request)]))


def _chunks(files: Iterable[tuple[str, int]]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    total = 0
    for path, size in files:
        chunk.append(os.fsencode(path))
        total += size
        if total >= _CHUNK_BYTES or len(chunk) == _CHUNK_FILES:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(len(message).to_bytes(_SIZE_BYTES) + message)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes:
    """Return the next message; empty at the end, also where that cuts a message short."""
    size = int.from_bytes(pipe.read(_SIZE_BYTES))
    message = pipe.read(size)
    return message if len(message) == size else b""
