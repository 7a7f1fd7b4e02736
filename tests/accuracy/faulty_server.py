"""A real HTTP service in one file of the standard library that has the faults it is told to have, when it is told.

    python -S faulty_server.py PORT

The words in the file `SERVICE.faults` of the working directory are the faults in force; they are read anew for every
request, so that a test can inject one without speaking to the service. With UPSTREAM set it is a proxy: health is its
own word, everything else is asked of that URL. With CERT_FILE and KEY_FILE set it speaks TLS.
"""

import contextlib
import http.client
import itertools
import json
import os
import socket
import ssl
import struct
import sys
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SERVICE = os.environ["SERVICE"]
UPSTREAM = urllib.parse.urlsplit(os.environ.get("UPSTREAM", ""))
IDENTITY = {
    "service": SERVICE,
    "environment": os.environ.get("ENVIRONMENT", ""),
    "commit": os.environ.get("COMMIT", "c1"),
    "version": "1",
}
TOKENS: dict[str, str] = {}
ORDERS = {"orders": [{"id": 1, "total": 20}]}
GATEWAY_PAGE = b"<html><body><h1>Bad Gateway</h1></body></html>"
SLOW = 0.15
"""Seconds."""

NUMBER = itertools.count()
"""Number of the current request, for faults of every second one."""
SPIKES = itertools.count()


def faults() -> set[str]:
    """Read the faults in force."""
    with contextlib.suppress(OSError), open(f"{SERVICE}.faults") as words:  # noqa: PTH123  pathlib costs a slow start
        return set(words.read().split())
    return set()


def crash(present: set[str]) -> None:
    """End this process, if told to: each time, or once."""
    if "orders-crash" in present:
        os.abort()
    if "orders-crash-once" in present:
        os.unlink(f"{SERVICE}.faults")  # noqa: PTH108  pathlib costs a slow start
        os._exit(3)


class Handler(BaseHTTPRequestHandler):
    """Answers JSON, unless a fault is in the way."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: object, kind: str = "application/json") -> None:
        """Send one whole answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def reset(self) -> None:
        """End the connection by RST, as a crashed peer or a strict middlebox does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True

    def gateway(self, status: int = 502) -> None:
        """Answer as a proxy does whose backend is away."""
        self.answer(status, GATEWAY_PAGE, "text/html")

    def handle_one_request(self) -> None:
        """Answer one request; ignore a client that has gone."""
        with contextlib.suppress(ConnectionError, ValueError):  # ValueError: we have closed the connection ourselves
            super().handle_one_request()

    def finish(self) -> None:
        """Flush what is left, if anybody still listens."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def serve(self) -> None:
        """Answer one request, with the faults that are in force."""
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        present, is_health = faults(), self.path.startswith("/health")
        if "hang" in present:
            time.sleep(3600)
        if "slow" in present:
            time.sleep(SLOW)
        if "spike" in present and next(SPIKES) == 0:
            time.sleep(5 * SLOW)
        if "flap" in present and next(NUMBER) % 2 == 0:
            self.answer(503, {"error": "not now"})
        elif "reset" in present:
            self.reset()
        elif is_health:
            self.health(present)
        elif "502" in present:
            self.gateway()
        elif "503" in present:
            self.gateway(503)
        elif UPSTREAM.hostname:
            self.forward()
        else:
            self.product(present)

    do_GET = do_POST = do_DELETE = serve  # noqa: N815  the base class's names

    def health(self, present: set[str]) -> None:
        """Say who we are."""
        if "unwell" in present:
            self.answer(503, {"error": "unwell"})
        else:
            self.answer(200, IDENTITY | ({"commit": "c2"} if "redeployed" in present else {}))

    def forward(self) -> None:
        """Ask the service behind us."""
        connection = http.client.HTTPConnection(UPSTREAM.hostname or "", UPSTREAM.port, timeout=2)
        headers = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
        try:
            connection.request(self.command, self.path, self.body, headers)
            answer = connection.getresponse()
            self.answer(answer.status, answer.read(), answer.headers.get("Content-Type", "application/json"))
        except (OSError, http.client.HTTPException):
            self.gateway()
        finally:
            connection.close()

    def product(self, present: set[str]) -> None:
        """Do what the product does: users, and orders that only they see."""
        if self.path == "/signup":
            self.sign_up(present)
        elif self.path == "/login":
            self.log_in(present)
        elif "open" not in present and not self.user(present):
            self.answer(401, {"error": "who are you"})
        elif self.path == "/me":
            self.answer(200, {"user_id": self.user(present)})
        elif self.path == "/orders":
            self.orders(present)
        else:
            self.answer(404, {"error": "no such path"})

    def user(self, present: set[str]) -> str:
        """Return the user of the request's token; empty where tokens are refused."""
        if "tokens-refused" in present:
            return ""
        return TOKENS.get((self.headers.get("Authorization") or "").removeprefix("Bearer "), "")

    def sign_up(self, present: set[str]) -> None:
        """Make a user."""
        if "signup-403" in present:
            self.answer(403, {"error": "sign-up is closed"})
        elif "signup-500" in present:
            self.answer(500, {"error": "internal"})
        else:
            self.answer(201, {"user_id": json.loads(self.body)["email"]})

    def log_in(self, present: set[str]) -> None:
        """Give a token."""
        if "login-shape" in present:
            self.answer(200, {"session": "in a cookie"})
            return
        token, email = f"accuracy-token-{uuid.uuid4().hex}", json.loads(self.body)["email"]
        TOKENS[token] = email
        self.answer(200, {"access_token": token, "user_id": email})

    def orders(self, present: set[str]) -> None:
        """List the orders: the one path that has faults of its own."""
        crash(present)
        text = json.dumps(ORDERS).encode()
        if "orders-reset" in present:
            self.reset()
        elif "orders-slow" in present:
            time.sleep(4 * SLOW)
            self.answer(200, ORDERS)
        elif "orders-cut" in present:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(10 * len(text)))
            self.end_headers()
            self.wfile.write(text[:20])
            self.close_connection = True
        elif "orders-truncated" in present:
            self.answer(200, text[:-9])
        elif "orders-502" in present:
            self.gateway()
        elif "orders-429" in present:
            self.answer(429, {"error": "slow down"})
        elif "orders-500" in present:
            self.answer(500, {"error": "division by zero"})
        elif "orders-404" in present:
            self.answer(404, {"error": "no such path"})
        elif "orders-wrong" in present:
            self.answer(200, {"orders": [{"id": 1, "total": 21}]})
        else:
            self.answer(201 if self.command == "POST" else 200, ORDERS)

    def log_message(self, *args: object) -> None:
        """Stay quiet."""


def main(port: int) -> None:
    """Serve until we are killed."""
    present = faults()
    if "exits" in present:
        sys.exit("the configuration is wrong, giving up")
    if "late" in present:
        time.sleep(4 * SLOW)
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    if cert_file := os.environ.get("CERT_FILE"):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert_file, os.environ["KEY_FILE"])
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with open(f"{SERVICE}.pid", "w") as file:  # noqa: PTH123  as above
        file.write(str(os.getpid()))
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
