"""Run files wherever CI left them: in directories, .zip and .tar.gz. What an archive says about itself is not believed.

A member is never written where its name says, only read as a stream into a file that we name; nothing but run files and
manifests is read at all. An archive with one hostile member is refused as a whole.
"""

from __future__ import annotations

import gzip
import math
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from envmatrix.exceptions import ArchiveError, UsageError

_MANIFEST = "matrix.json"
_ARCHIVES = (".zip", ".tar.gz")
_CHUNK = 1 << 16
_COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The others are unpacked block by block, whatever the block's size: 4 KiB can become 90 MiB in memory."""
_HEADERS = 1 << 20
"""Bytes between two members of a tar file: names and attributes, which tarfile reads as a whole."""
_UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, NotImplementedError, RuntimeError)
"""What the readers of archives raise at damage, a foreign compression or a password."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may come out of archives. A run of 100,000 tests is about 50 MB."""

    member_bytes: int = 2 << 30
    total_bytes: int = 16 << 30
    members: int = 20_000
    ratio: int = 250
    """Times that an archive may grow; run files grow about 20-fold."""
    harmless_bytes: int = 16 << 20
    """Up to which nobody asks for the ratio."""


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class GatheredFile:
    """A run file or a manifest."""

    name: str
    """Where it is, for people: `runs.zip!local.jsonl`."""
    path: Path
    """Where it can be read."""

    @property
    def stem(self) -> str:
        """Return its own name without `.jsonl`."""
        return PurePosixPath(self.name.rpartition("!")[2]).stem

    @property
    def place(self) -> str:
        """Return what it lies in: a directory, also one within an archive."""
        return self.name.removesuffix(PurePosixPath(self.name.rpartition("!")[2]).name)

    @property
    def is_manifest(self) -> bool:
        """Return whether it says what was asked for, rather than what became of it."""
        return self.stem == PurePosixPath(_MANIFEST).stem


@contextmanager
def gather(paths: Iterable[Path], limits: Limits = LIMITS) -> Iterator[tuple[GatheredFile, ...]]:
    """Find the run files and manifests in files, directories and archives, those in directories included.

    What comes out of archives is there as long as the context.

    Raises:
        UsageError: there is no such path.
        ArchiveError: an archive is damaged, hostile or too large, or what looks like a run file is none.
    """
    with TemporaryDirectory(prefix="envmatrix-merge-") as scratch:
        unpacking = _Unpacking(Path(scratch), limits)
        found: list[GatheredFile] = []
        for path in paths:
            for file in _files(path):
                found += unpacking.archive(file) if is_archive(file.name) else [GatheredFile(str(file), file)]
        yield tuple(found)


def is_archive(name: str) -> bool:
    """Return whether a file of that name is taken for an archive."""
    return name.endswith(_ARCHIVES)


def _is_ours(name: str) -> bool:
    return name.endswith(".jsonl") or PurePosixPath(name).name == _MANIFEST


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or those of a directory and all below it that are of interest."""
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise UsageError(f"no run file {path}", "Name run files, directories of them, .zip or .tar.gz")
    for where, directories, names in os.walk(path):  # links to directories are not followed: `latest` is one
        directories.sort()
        for name in sorted(names):
            if not (_is_ours(name) or is_archive(name)):
                continue
            file = Path(where, name)
            if not stat.S_ISREG(file.lstat().st_mode):
                raise _refused(path, str(file.relative_to(path)), "is a link or a device, not a file")
            yield file


class _Unpacking:
    """Takes what is ours out of archives; counts over all of them."""

    def __init__(self, scratch: Path, limits: Limits) -> None:
        self._scratch = scratch
        self._limits = limits
        self._members = 0
        self._bytes = 0

    def archive(self, path: Path) -> list[GatheredFile]:
        members = self._zip(path) if path.name.endswith(".zip") else self._tar(path)
        try:
            return list(members)
        except _UNREADABLE as error:
            raise ArchiveError(path, f"cannot be read: {str(error) or type(error).__name__}") from None

    def _zip(self, path: Path) -> Iterator[GatheredFile]:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.compress_type not in _COMPRESSIONS:
                    raise _refused(path, member.filename, "is compressed by neither of store and deflate")
                kind = stat.S_IFMT(member.external_attr >> 16)
                self._check(path, member.filename, is_plain=kind in {0, stat.S_IFREG, stat.S_IFDIR})
                if _is_ours(member.filename):
                    with archive.open(member) as stream:
                        yield self._take(path, member.filename, _Metered(self, path, member.filename, stream, size))

    def _tar(self, path: Path) -> Iterator[GatheredFile]:
        # What is skipped is unpacked too, so that the whole stream is metered, not only what is ours.
        with gzip.open(path) as unpacked:
            stream = _Metered(self, path, "", unpacked, path.stat().st_size)
            stream.left = _HEADERS
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    self._check(path, member.name, is_plain=member.isreg() or member.isdir())
                    stream.member, stream.left = member.name, member.size + _HEADERS
                    if member.isreg() and _is_ours(member.name) and (content := archive.extractfile(member)):
                        yield self._take(path, member.name, content)
            stream.left = math.inf
            while stream.read(_CHUNK):
                pass  # to its end, where the checksum is

    def _check(self, path: Path, name: str, *, is_plain: bool) -> None:
        self._members += 1
        if self._members > self._limits.members:
            raise _refused(path, name, f"is one of more than {self._limits.members} members")
        if name.startswith("/") or ".." in PurePosixPath(name).parts or not {"\\", ":", "\0"}.isdisjoint(name):
            raise _refused(path, name, "leads out of the archive")
        if not name.isprintable():
            raise _refused(path, name, "has a name that cannot be shown")
        if not is_plain:
            raise _refused(path, name, "is a link or a device, not a file")

    def _take(self, path: Path, name: str, stream: IO[bytes] | BufferedIOBase) -> GatheredFile:
        target = self._scratch / f"{self._members}{PurePosixPath(name).suffix}"
        left = self._limits.member_bytes
        with target.open("xb") as file:
            while chunk := stream.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise _refused(path, name, f"is larger than {_size(self._limits.member_bytes)}")
                file.write(chunk)
        return GatheredFile(f"{path}!{name}", target)

    def count(self, path: Path, member: str, more: int, grown: int, size: int) -> None:
        """Refuse what grows too large: altogether, or for the archive that it is in."""
        self._bytes += more
        if self._bytes > self._limits.total_bytes:
            raise _refused(path, member, f"makes it more than {_size(self._limits.total_bytes)} altogether")
        if grown > max(self._limits.harmless_bytes, self._limits.ratio * size):
            raise _refused(path, member, f"grows more than {self._limits.ratio}-fold when it is unpacked")


class _Metered(BufferedIOBase):
    """What comes out of an archive, counted as it is read."""

    def __init__(
        self, unpacking: _Unpacking, path: Path, member: str, stream: IO[bytes] | BufferedIOBase, size: int
    ) -> None:
        self._unpacking = unpacking
        self._path = path
        self._stream = stream
        self._size = size
        self._grown = 0
        self.member = member
        self.left = math.inf
        """Bytes that may still be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._stream.read(_CHUNK if size is None or size < 0 else min(size, _CHUNK))
        self._grown += len(data)
        self._unpacking.count(self._path, self.member, len(data), self._grown, self._size)
        self.left -= len(data)
        if self.left < 0:
            raise _refused(self._path, self.member, f"is followed by a header of more than {_HEADERS >> 20} MiB")
        return data


def _size(number: int) -> str:
    return f"{number >> 30} GiB" if number >= 1 << 30 else f"{number} bytes"


def _refused(path: Path, member: str, what: str) -> ArchiveError:
    return ArchiveError(path, f"{member[:200]!r} {what}" if member else what)
