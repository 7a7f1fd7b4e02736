"""A real HTTP service in one file of the standard library: health, sign-up, login and one protected path."""

import itertools
import json
import os
import sys
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKENS: dict[str, str] = {}
DELETED: set[str] = set()
ERASED: list[tuple[str, str]] = []


def said(name: str) -> str:
    """What a test wrote to a file for us to do; empty where it wrote none."""
    try:
        with open(name) as file:  # noqa: PTH123  pathlib costs a slow start
            return file.read()
    except FileNotFoundError:
        return ""


HEALTH = itertools.count()


def unwell() -> bool:
    """Whether this health answer is to be a bad one: always with unwell.txt, by turns with flapping.txt."""
    time.sleep(float(said("slow.txt") or 0))
    return os.path.exists("unwell.txt") or bool(said("flapping.txt") and next(HEALTH) % 2)  # noqa: PTH110  pathlib costs a slow start


class Handler(BaseHTTPRequestHandler):
    """Answers JSON."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: object) -> None:
        """Send one JSON answer."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        """Health, the protected path, and a way to die."""
        if self.path.startswith("/health") and unwell():
            self.answer(503, {"error": "unwell"})
        elif self.path.startswith("/health"):
            identity = {"service": os.environ["SERVICE"], "environment": os.environ["ENVIRONMENT"]}
            self.answer(200, identity | {"version": "1", "commit": said("commit.txt") or "c"})
        elif self.path == "/die":
            os.kill(os.getpid(), 9)
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half of it")
            self.close_connection = True
        elif self.path == "/half":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b'{"orders": [{"id": 1}, {"id":')
        elif self.path == "/erased":
            self.answer(200, ERASED)
        elif status := said("me.txt"):
            self.answer(int(status), {"error": "as told"})
        elif user := TOKENS.get(self.headers.get("Authorization", "").removeprefix("Bearer ")):
            self.answer(200, {"user_id": user})
        else:
            self.answer(401, {"error": "who are you"})

    def do_POST(self) -> None:
        """Sign-up and login."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if self.path == "/signup":
            self.answer(201, {"user_id": body["email"]})
        elif self.path in {"/broken", "/refused"}:
            self.answer(500 if self.path == "/broken" else 403, {"error": self.path})
        elif self.path == "/expire":
            TOKENS.clear()
            self.answer(200, {})
        elif body["email"] in DELETED:
            self.answer(401, {"error": "no such user"})
        else:
            token = f"tiny-token-{uuid.uuid4().hex}"
            TOKENS[token] = body["email"]
            self.answer(200, {"access_token": token, "user_id": body["email"]})

    def do_DELETE(self) -> None:
        """Delete the token's user, unless its name begins with `kept`."""
        user = TOKENS.get(self.headers.get("Authorization", "").removeprefix("Bearer "), "")
        ERASED.append((user.partition("-")[0], self.path))
        if user and not user.startswith("kept"):
            DELETED.add(user)
        self.answer(401 if not user else 200 if user in DELETED else 500, {})

    def log_message(self, *args: object) -> None:
        """Stay quiet."""


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
