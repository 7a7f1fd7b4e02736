"""A Redis client without dependencies."""

import socket
from urllib.parse import unquote, urlsplit


class ResponseError(Exception):
    pass


class Redis:
    def __init__(self, url, protocol=2):
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port or 6379), timeout=5)
        self._stream = self._socket.makefile("rb")
        if parts.password:
            self.execute("AUTH", unquote(parts.username or "default"), unquote(parts.password))
        self.execute("HELLO", protocol)
        self.execute("SELECT", parts.path.strip("/") or 0)

    def close(self):
        self._stream.close()
        self._socket.close()

    def execute(self, *words):
        self._send(words)
        return self._reply()

    def pipeline(self, *commands):
        for words in commands:
            self._send(words)
        return [self._reply() for _ in commands]

    def info(self):
        text = self.execute("INFO", "server").decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def _send(self, words):
        data = b"*%d\r\n" % len(words)
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            data += b"$%d\r\n%s\r\n" % (len(word), word)
        self._socket.sendall(data)

    def _reply(self):
        line = self._stream.readline().rstrip(b"\r\n")
        if not line:
            raise ConnectionError("the server hung up")
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise ResponseError(rest.decode())
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"_" or rest == b"-1":
            return None
        if kind in b"$=":
            data = self._stream.read(int(rest) + 2)[:-2]
            return data if kind == b"$" else data[4:]
        if kind in b"*~":
            return [self._reply() for _ in range(int(rest))]
        if kind == b"%":
            return {self._reply(): self._reply() for _ in range(int(rest))}
        raise ResponseError(f"unknown reply {line!r}")
