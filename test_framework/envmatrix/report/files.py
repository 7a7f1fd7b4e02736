"""Write reports into files, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from envmatrix.exceptions import UsageError


def check_place(path: Path | None) -> None:
    """Make sure that a report can be written where it was asked for: better before the suite is run than after it.

    Raises:
        UsageError: there is no such directory.
    """
    if path is not None and not path.parent.is_dir():
        raise UsageError(f"no directory {path.parent}", f"Make it, or name another file than {path}")


def write_files(texts: Mapping[Path, str], directories: Iterable[Path] = ()) -> None:
    """Write texts into files, all of them or none: on a full disk every file stays as it was.

    `directories` are made where they are missing. A device or a pipe is written to as it is; of a link, the file behind it
    is replaced.

    Raises:
        UsageError: one cannot be written.
    """
    fresh: dict[Path, Path] = {}
    path = Path()
    try:
        for path in directories:
            path.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            if path.exists() and not path.is_file():
                path.write_text(text, encoding="utf-8", errors="backslashreplace")
                continue
            target = path.resolve()
            beside = target.with_name(
                f".{os.getpid()}-{len(fresh)}.new"
            )  # a name of ours: the target's may be the longest
            fresh[beside] = target
            with beside.open("x", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(text)
        for beside, target in fresh.items():
            beside.replace(target)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        for beside in fresh:
            beside.unlink(missing_ok=True)
