"""The lines of a log as they are written, also after the log was begun anew; and its last ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from envmatrix.masking import MASKER

_TAIL_LINES = 20
_TAIL_BYTES = 4096


class LogLines:
    """Reads a log that a process writes; each look yields the lines that were not read yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[bytes] | None = None

    def look(self) -> Iterator[str]:
        """Yield the new lines, masked; of a log that was replaced, the rest and then all of the new one."""
        yield from self._read()
        with suppress(FileNotFoundError):
            if self._stream is None or not os.path.samestat(os.fstat(self._stream.fileno()), self._path.stat()):
                self.close()
                self._stream = self._path.open("rb")
                yield from self._read()

    def close(self) -> None:
        """Close the log."""
        if self._stream is not None:
            self._stream.close()

    def _read(self) -> Iterator[str]:
        while self._stream and (line := self._stream.readline()):
            if not line.endswith(b"\n"):  # the rest of it, perhaps of a secret in it, comes later
                self._stream.seek(-len(line), os.SEEK_CUR)
                return
            yield MASKER.mask(line.decode(errors="replace").rstrip("\n"))


def log_tail(path: Path) -> str:
    """Return the last lines of a file, masked: at most 20 and 4 kB."""
    try:
        with path.open("rb") as stream:
            cut = "…" if stream.seek(0, os.SEEK_END) > _TAIL_BYTES else ""  # perhaps in the middle of a secret
            stream.seek(-_TAIL_BYTES if cut else 0, os.SEEK_END if cut else os.SEEK_SET)
            lines = (cut + stream.read().decode(errors="replace")).splitlines()
    except OSError:
        return ""
    return MASKER.mask("\n".join(lines[-_TAIL_LINES:]))
