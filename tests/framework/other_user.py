"""Another user of the machine: acts in a child process, where root may switch users."""

from __future__ import annotations

import os
import pwd
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_another_user = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user of the machine")


def as_another_user(action: Callable[[], object]) -> str:
    """Run an action as `nobody`, and return its result as a text, or the name of its exception."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the child uses none
        pid = os.fork()
    if pid == 0:
        try:
            account = pwd.getpwnam("nobody")
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            result = str(action())
        except BaseException as error:  # noqa: BLE001  the child must not come back into pytest
            result = type(error).__name__
        os.write(writer, result.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        result = stream.read()
    os.waitpid(pid, 0)
    return result


@contextmanager
def common_directory() -> Iterator[Path]:
    """A directory like /tmp: everybody may make files in it, and remove nobody else's."""
    with tempfile.TemporaryDirectory(prefix="common-", dir="/tmp") as path:
        Path(path).chmod(0o1777)
        yield Path(path).resolve()
