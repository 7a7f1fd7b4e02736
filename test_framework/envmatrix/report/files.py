"""Write reports to files."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from envmatrix.exceptions import UsageError


def check_place(path: Path | None) -> None:
    """Make sure that a report can be written where it was asked for: better before the suite is run than after it.

    Raises:
        UsageError: there is no such directory.
    """
    if path is not None and not path.parent.is_dir():
        raise UsageError(f"no directory {path.parent}", f"Make it, or name another file than {path}")


def write_report(path: Path, text: str) -> None:
    """Write a report, all of it or nothing: on a full disk the last good one stays.

    Raises:
        UsageError: it cannot be written.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}", "Name another file") from None
