"""Files, directories and sockets that other users of the machine can neither read nor replace, whatever the umask."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
from pathlib import Path
from typing import IO, Any

_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_CREDENTIALS = struct.Struct("3i")
"""The process, user and group of the other end of a socket (Linux)."""


def open_private(path: Path, mode: str) -> IO[Any]:
    """Open a file to write to, never through a symbolic link; a new one is ours alone."""
    encoding = None if "b" in mode else "utf-8"
    return open(path, mode, encoding=encoding, opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def write_private(path: Path, text: str) -> None:
    """Write a file that other users cannot read at any moment."""
    with open_private(path, "w") as stream:
        stream.write(text)


def make_directory(path: Path, mode: int = 0o700) -> None:
    """Make a directory with exactly these permissions.

    Raises:
        FileExistsError: something is there.
    """
    path.mkdir(mode)
    path.chmod(mode)


def bind_private(listener: socket.socket, path: Path) -> None:
    """Bind a Unix socket that only our own account can connect to."""
    with contextlib.suppress(OSError):  # Linux makes the file with the socket's own permissions
        os.fchmod(listener.fileno(), 0o600)
    listener.bind(str(path))
    path.chmod(0o600)


def is_own_account(connection: socket.socket) -> bool:
    """Return whether the other end of a Unix socket is a process of our account; True where the system cannot tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(credentials)[1] == os.geteuid())


def why_not_private(directory: Path) -> str:
    """Return why another user could change what is in a directory; empty where none can.

    The directory must be ours and closed to others. Those above it must belong to us or to the system, and let others
    replace nothing of ours. Each is opened from the one above, and no symbolic link is followed.
    """
    opened = os.open("/", _DIRECTORY)
    try:
        system = {0, os.geteuid(), os.fstat(opened).st_uid}  # in a user namespace, root outside has another number
        place = Path("/")
        for name in directory.parts[1:]:
            place /= name
            below = os.open(name, _DIRECTORY, dir_fd=opened)
            os.close(opened)
            opened = below
            state = os.fstat(opened)
            if state.st_uid not in system or (place == directory and state.st_uid != os.geteuid()):
                return f"{place} belongs to the user {state.st_uid}"
            if state.st_mode & _OTHERS_WRITE and (place == directory or not state.st_mode & stat.S_ISVTX):
                return f"other users can write to {place}"
    except OSError as error:
        return f"{place} cannot be entered: {error.strerror}"
    finally:
        os.close(opened)
    return ""
