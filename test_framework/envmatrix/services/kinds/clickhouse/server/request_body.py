"""The body of a request: its chunks, its compression, and its form fields."""

from __future__ import annotations

import email
import email.policy
import gzip
import importlib
import io
import sys
import zlib
from collections.abc import Callable
from email.message import Message
from io import BufferedIOBase

from .connection import QueryError


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """Read a whole body off the connection."""
    if headers.get("Transfer-Encoding", "").lower() != "chunked":
        return stream.read(int(headers.get("Content-Length", 0)))
    body = bytearray()
    while size := int(stream.readline().split(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass
    return bytes(body)


def decompressed(body: bytes, encoding: str) -> bytes:
    """Return a body as it was before its compression.

    Raises:
        QueryError: the compression is unknown.
    """
    if encoding not in _DECODERS:
        raise QueryError(48, f"Code: 48. DB::Exception: Unknown compression {encoding}. (NOT_IMPLEMENTED)")
    return _DECODERS[encoding](body) if body else body


def form_fields(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form: clients send long queries and parameters as one."""
    raw = b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    message = email.message_from_bytes(raw, policy=email.policy.HTTP)
    fields: dict[str, str] = {}
    for part in message.iter_parts():
        if part.get_filename():
            raise QueryError(48, "Code: 48. DB::Exception: External tables are not served here. (NOT_IMPLEMENTED)")
        payload = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        fields[str(name)] = payload.decode() if isinstance(payload, bytes) else ""
    return fields


def _decompressed_lz4(body: bytes) -> bytes:
    """Decompress every frame: clients send one for each block of rows."""
    frames = importlib.import_module("lz4.frame")
    content: bytes = frames.open(io.BytesIO(body)).read()
    return content


def _decompressed_zstd(body: bytes) -> bytes:
    zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    content: bytes = zstd.decompress(body)
    return content


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": _decompressed_lz4,
    "zstd": _decompressed_zstd,
}
"""The libraries of the last two are the client's own dependencies, and imported when first used."""
