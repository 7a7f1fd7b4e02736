"""Parse files in several processes.

They are started afresh, not forked: that is safe beside threads. Each one reads paths from its standard input, a chunk at
a time, and answers with the facts as bytes; it ends with that input, so it outlives us by a chunk at most.
"""

from __future__ import annotations

import gc
import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Self, TypeAlias

import msgspec
from msgspec.structs import replace

from envmatrix.analysis.source.cache import digest_of
from envmatrix.analysis.source.facts import Module
from envmatrix.analysis.source.parse import read

LARGEST = 4 << 20
"""Bytes of the largest file that is read: no person wrote a larger one."""
TOO_LARGE = Module(unread=f"it is larger than {LARGEST >> 20} MiB")

Answer: TypeAlias = tuple[bytes, bytes, bytes]
"""A path, the digest of the file's bytes (empty where these could not be had), and its facts."""

_CHUNK_BYTES = 256 << 10
_CHUNK_FILES = 100
_SIZE_BYTES = 4
"""Before each message: how long it is."""
_DEADLINE_S = 60.0
"""For a chunk, which takes a tenth of a second."""
_END_S = 10.0
"""For a process that was killed."""
_START = "import sys; sys.path += sys.argv[1:]; from envmatrix.analysis.source.workers import work; work()"

encode = msgspec.msgpack.encode
_decode_answers = msgspec.msgpack.Decoder(list[Answer]).decode
_decode_paths = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_contracts = msgspec.msgpack.Decoder(frozenset[str]).decode


class CannotStartError(Exception):
    """Processes of ours can't be had here."""


def read_file(path: str | bytes, contracts: frozenset[str]) -> tuple[bytes, Module]:
    """Return the digest of a file's bytes, empty where these cannot be had, and its facts."""
    source = _bytes_of(path)
    if isinstance(source, Module):
        return b"", source
    digest = digest_of(source)
    return digest, replace(read(source, contracts), digest=digest)


def digest_of_file(path: str) -> bytes:
    """Return the digest of a file's bytes, empty where these cannot be had."""
    source = _bytes_of(path)
    return b"" if isinstance(source, Module) else digest_of(source)


def _bytes_of(path: str | bytes) -> bytes | Module:
    """Return what is in a file, or why that cannot be had."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 -- the name may be bytes
            source = stream.read(LARGEST + 1)
    except OSError as error:
        return Module(unread=f"it cannot be opened: {error.strerror}")
    return TOO_LARGE if len(source) > LARGEST else source


def read_in_processes(files: Iterable[tuple[str, int]], contracts: frozenset[str], processes: int) -> Generator[Answer]:
    """Yield the facts of files, in any order.

    A file that ends the process which reads it, or keeps it busy for a minute, is unread; all others are read.

    Args:
        files: Paths and sizes in bytes.
        contracts: Handed on to `read`.
        processes: How many at most.

    Raises:
        CannotStartError: processes cannot be started, or cannot import us. What was yielded until then is right.
    """
    waiting = deque(_chunks(files))
    with _Crew(contracts) as crew:
        while waiting or crew.children:
            while waiting and len(crew.children) < processes:
                crew.start(waiting.popleft())
            for child in crew.wait():
                try:
                    answers = child.receive()
                except EOFError:
                    crew.dismiss(child)
                    answers, again = child.given_up()
                    waiting.extend(again)
                else:
                    if answers and waiting:
                        child.give(waiting.popleft())
                    elif answers:
                        crew.dismiss(child)
                yield from answers


class _Crew:
    """The processes at work; none is left when it ends."""

    def __init__(self, contracts: frozenset[str]) -> None:
        self._contracts = encode(contracts)
        self._selector = selectors.DefaultSelector()
        self.children: set[_Child] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in tuple(self.children):
            self.dismiss(child)
        self._selector.close()

    def start(self, chunk: list[bytes]) -> None:
        child = _Child(self._contracts, chunk)
        self.children.add(child)
        self._selector.register(child.answers, selectors.EVENT_READ, child)

    def wait(self) -> list[_Child]:
        """Return the children of which there is something to hear, be it their end."""
        ready = [key.data for key, _ in self._selector.select(_DEADLINE_S)]
        if not ready:
            for child in self.children:
                child.process.kill()
        return ready

    def dismiss(self, child: _Child) -> None:
        self.children.remove(child)
        self._selector.unregister(child.answers)
        child.process.kill()
        child.process.wait(_END_S)
        for pipe in (child.requests, child.answers):
            with suppress(OSError):  # what was not taken any more
                pipe.close()


class _Child:
    """One process, and the chunk that it is at."""

    def __init__(self, contracts: bytes, chunk: list[bytes]) -> None:
        homes = [str(Path(msgspec.__file__).parents[1]), str(Path(__file__).parents[3])]
        # -I and -S: nothing of the directory we are in, or of anybody's settings, is imported there.
        command = [sys.executable, "-I", "-S", *(["-B"] if sys.dont_write_bytecode else []), "-c", _START, *homes]
        try:
            self.process = subprocess.Popen(  # noqa: S603 -- ourselves
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
            )
        except OSError as error:
            raise CannotStartError from error
        self.requests, self.answers = _pipe(self.process.stdin), _pipe(self.process.stdout)
        self._received = bytearray()
        self._is_started = False
        self._chunk = chunk
        self._tell(contracts)
        self.give(chunk)

    def give(self, chunk: list[bytes]) -> None:
        """Have it read a chunk, when it has answered the one before."""
        self._chunk = chunk
        self._tell(encode(chunk))

    def _tell(self, message: bytes) -> None:
        with suppress(BrokenPipeError):  # that it ended is heard of when it is listened to
            _send(self.requests, message)

    def receive(self) -> list[Answer]:
        """Return its answer to a chunk, nothing while that is not whole.

        Raises:
            EOFError: it ended.
        """
        part = os.read(self.answers.fileno(), 1 << 20)
        if not part:
            raise EOFError
        self._received += part
        answers: list[Answer] = []
        while len(self._received) >= (size := _SIZE_BYTES + int.from_bytes(self._received[:_SIZE_BYTES])):
            answers += _decode_answers(self._received[_SIZE_BYTES:size])
            del self._received[:size]
            self._is_started = True
        return answers

    def given_up(self) -> tuple[list[Answer], list[list[bytes]]]:
        """Return what can be said of its chunk, and what is to be tried again: each file on its own.

        Raises:
            CannotStartError: it never began.
        """
        if not self._is_started:
            raise CannotStartError
        if len(self._chunk) > 1:
            return [], [[path] for path in self._chunk]
        return [(path, b"", encode(Module(unread="it ended the process that read it"))) for path in self._chunk], []


def work() -> None:
    """Answer chunk after chunk, in a process of its own."""
    gc.disable()  # a tree of syntax holds no circles
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    contracts = _decode_contracts(_receive(requests))
    _send(answers, encode([]))  # we have begun
    while request := _receive(requests):
        read_files = ((path, *read_file(path, contracts)) for path in _decode_paths(request))
        _send(answers, encode([(path, digest, encode(module)) for path, digest, module in read_files]))


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


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 -- asked for above
    return pipe


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(len(message).to_bytes(_SIZE_BYTES) + message)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes:
    """Read one message; nothing at the end."""
    return pipe.read(int.from_bytes(pipe.read(_SIZE_BYTES)))
