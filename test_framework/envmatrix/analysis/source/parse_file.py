"""Parse one file on disk: the digest of its bytes, and its facts."""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from envmatrix.analysis.source.facts import Module, Unread, Wanted
from envmatrix.analysis.source.parse import parse

LARGEST = 4 << 20
"""Bytes of the largest file that is parsed: no person wrote a larger one."""
TOO_LARGE = Module(unread=Unread(f"it is larger than {LARGEST >> 20} MiB"))


def digest_of(source: bytes) -> bytes:
    """Return the digest of some bytes: the cache key of what is made of them."""
    return hashlib.blake2b(source, digest_size=16).digest()


def digest_of_file(path: str) -> bytes:
    """Return the digest of a file's bytes; empty where it cannot be read."""
    source = _read(path)
    return b"" if isinstance(source, Module) else digest_of(source)


def parse_file(path: str | bytes, wanted: Wanted) -> Module:
    """Return the facts of a file, with its digest; one that cannot be read says why."""
    source = _read(path)
    return source if isinstance(source, Module) else replace(parse(source, wanted), digest=digest_of(source))


def _read(path: str | bytes) -> bytes | Module:
    """Return the bytes of a file, or why it cannot be read."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 -- the name may be bytes
            source = stream.read(LARGEST + 1)
    except OSError as error:
        return Module(unread=Unread(f"it cannot be opened: {error.strerror}"))
    return TOO_LARGE if len(source) > LARGEST else source
