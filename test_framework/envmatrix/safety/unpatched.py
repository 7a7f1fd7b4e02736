"""The operating system as it was before any test, which may replace clocks, files and sockets in every loaded module.

Tools that do so (freezegun, pyfakefs, pytest-socket, monkeypatch) look through modules, not into classes. And a descriptor
that we keep may be closed by a test, and its number be that of another file by then: `HeldFile` looks before it writes.
"""

from __future__ import annotations

import errno
import os
import socket
import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path

MAX_TEXT = 1 << 16
"""Characters of a text that a test or its objects chose."""


class REAL:
    """Functions and classes as this module found them when it was imported."""

    clock = staticmethod(partial(time.clock_gettime, time.CLOCK_MONOTONIC))
    """Seconds. No tool that stops clocks knows this one."""
    date = staticmethod(partial(time.clock_gettime, time.CLOCK_REALTIME))
    """Seconds since the epoch."""
    sleep = staticmethod(time.sleep)
    open = staticmethod(os.open)
    close = staticmethod(os.close)
    dup = staticmethod(os.dup)
    fstat = staticmethod(os.fstat)
    ftruncate = staticmethod(os.ftruncate)
    getpid = staticmethod(os.getpid)
    listdir = staticmethod(os.listdir)
    read = staticmethod(os.read)
    write = staticmethod(os.write)
    socket = socket.SocketType
    """The class in C below `socket.socket`, whose methods nobody can replace."""


def text_of(value: object) -> str:
    """Return an object's text, at most 65,536 characters; a stand-in where the object refuses to have one."""
    try:
        return str(value)[:MAX_TEXT]
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  a test's own object may raise anything
        return f"<{type(value).__name__} without a text: {type(error).__name__} in its __str__>"


def weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls a method as long as its object lives: what is registered at a fork has no end."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        if (living := reference()) is not None:
            living()

    return call


class HeldCopy:
    """A copy of a descriptor, which is not used once a test has closed it: its number may be that of a test's file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = REAL.dup(descriptor)
        self._file = file_behind(self._descriptor)

    @property
    def descriptor(self) -> int:
        """Return its number.

        Raises:
            OSError: a test has closed it.
        """
        if file_behind(self._descriptor) != self._file:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._descriptor

    def close(self) -> None:
        """Close it, unless a test did."""
        if file_behind(self._descriptor) == self._file:
            REAL.close(self._descriptor)


class HeldFile(HeldCopy):
    """A file that is kept open to append to, also where a test closes our descriptor."""

    def __init__(self, path: Path, flags: int, mode: int) -> None:
        """Open it.

        Raises:
            OSError: it cannot be opened.
        """
        self._path = str(path)
        self._descriptor = REAL.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | flags, mode)
        self._file = file_behind(self._descriptor)

    @property
    def descriptor(self) -> int:
        """Return its descriptor; a new one where the number is not ours any more.

        Raises:
            OSError: it is gone.
        """
        if file_behind(self._descriptor) != self._file:
            self._descriptor = REAL.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            if file_behind(self._descriptor) != self._file:
                REAL.close(self._descriptor)
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), self._path)
        return self._descriptor

    def write(self, data: bytes) -> None:
        """Append a whole line, or nothing of it.

        Raises:
            OSError: the file is gone, or the disk is full.
        """
        descriptor = self.descriptor
        written = 0
        try:
            while written < len(data):  # one write, but for a nearly full disk, which takes a part and then says why
                written += REAL.write(descriptor, data[written:])
        except OSError:
            # The next line, once there is room again, must not be glued to a torn one.
            REAL.ftruncate(descriptor, REAL.fstat(descriptor).st_size - written)
            raise

    def empty(self) -> None:
        """Remove what it holds."""
        REAL.ftruncate(self.descriptor, 0)


def file_behind(descriptor: int) -> tuple[int, int] | None:
    """Return the device and inode of what a descriptor leads to; `None` where it is closed."""
    try:
        state = REAL.fstat(descriptor)
    except OSError:
        return None
    return state.st_dev, state.st_ino
