"""Where immutable objects are kept, one a run: a directory, or a bucket. What is there is never written again."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from envmatrix.exceptions import HistoryError, MissingExtraError
from envmatrix.masking import one_line
from envmatrix.safety.output_files import replacing

_SUFFIX = ".parquet"
_AT_ONCE = 16
"""Objects fetched from a bucket at the same time: each takes long, and next to nothing of this machine."""
_PATIENCE = timedelta(seconds=30)
"""Until what a bucket does not answer is an error."""


class Place(Protocol):
    """Where objects are."""

    def names(self) -> Collection[str]:
        """Return the names of the objects that are there."""

    def put(self, name: str, write: Callable[[Path], None]) -> None:
        """Have an object written to a local path, and keep it under a name, all of it or nothing."""

    def files(self) -> Sequence[Path]:
        """Return the objects as local files."""


def place_of(where: str, kept: Path) -> Place:
    """Return a place by its directory or URL, perhaps with a pattern of names behind it: `s3://bucket/runs/date=2026-*/*`.

    Objects of a bucket are fetched once, and kept in a local directory.
    """
    return Bucket(where, kept) if "://" in where else Directory(where)


class Directory:
    """A directory, which may be a mounted bucket: nothing but writing and renaming is asked of it."""

    def __init__(self, where: str) -> None:
        self._where = where

    def names(self) -> Collection[str]:
        """Return the names of the objects that are there."""
        return [path.relative_to(self._where).as_posix() for path in self._found()]

    def put(self, name: str, write: Callable[[Path], None]) -> None:
        """Have an object written, then renamed. Two processes at once write the same, so that either may win.

        Raises:
            HistoryError: it cannot be written.
        """
        path = Path(self._where, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as fresh:
                write(fresh)
        except OSError as error:
            raise HistoryError(self._where, f"cannot be written: {error.strerror or error}") from None

    def files(self) -> Sequence[Path]:
        """Return the objects, those that a pattern fits where one is named."""
        return self._found()

    def _found(self) -> Sequence[Path]:
        pattern = self._where
        if "*" not in pattern or Path(pattern).is_dir():
            pattern = str(Path(glob.escape(pattern), "**", f"*{_SUFFIX}"))
        return sorted(Path(name) for name in glob.iglob(pattern, recursive=True) if name.endswith(_SUFFIX))  # noqa: PTH207  a pattern may be absolute


class Bucket:
    """A bucket by its URL. Credentials come from the process's environment: `AWS_ACCESS_KEY_ID` and their like."""

    def __init__(self, url: str, kept: Path) -> None:
        base, star, rest = url.partition("*")
        if star:
            base, _, part = base.rpartition("/")
            rest = f"{part}*{rest}"
        self._url, self._pattern, self._kept = base.rstrip("/"), rest or "*", kept
        try:
            import obstore
            from obstore.store import from_url
        except ImportError:
            raise MissingExtraError("obstore", "parquet") from None
        self._obstore = obstore
        with self._errors():
            self._store = from_url(self._url, retry_config={"max_retries": 3, "retry_timeout": _PATIENCE})

    def names(self) -> Collection[str]:
        """Return the names of the objects that are there.

        Raises:
            HistoryError: the bucket cannot be listed.
        """
        with self._errors():
            names = [each["path"] for page in self._obstore.list(self._store) for each in page]
        return sorted(name for name in names if name.endswith(_SUFFIX) and fnmatchcase(name, self._pattern))

    def put(self, name: str, write: Callable[[Path], None]) -> None:
        """Have an object written, and sent unless another process was quicker.

        Raises:
            HistoryError: it cannot be written.
        """
        with TemporaryDirectory(prefix="envmatrix-") as directory, self._errors():
            path = Path(directory, "object")
            write(path)
            with suppress(self._obstore.exceptions.AlreadyExistsError):
                self._obstore.put(self._store, name, path, mode="create")

    def files(self) -> Sequence[Path]:
        """Return the objects that the pattern fits, fetched once: an object never changes.

        Raises:
            HistoryError: one cannot be fetched.
        """
        with self._errors(), ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self._fetch, self.names()))

    def _fetch(self, name: str) -> Path:
        # A name in a bucket is anyone's: it never becomes a path.
        path = self._kept / f"{hashlib.sha256(f'{self._url}/{name}'.encode()).hexdigest()}{_SUFFIX}"
        if not path.exists():
            self._kept.mkdir(parents=True, exist_ok=True)
            with replacing(path) as fresh:
                fresh.write_bytes(self._obstore.get(self._store, name).bytes())
        return path

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what goes wrong into an error of ours, in one line."""
        try:
            yield
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as error:
            raise HistoryError(self._url, f"cannot be used: {one_line(str(error))}") from None
