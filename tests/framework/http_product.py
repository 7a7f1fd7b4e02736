"""A product that nobody made for these tests: FastAPI's form login, Django's sessions, HTTP basic, OAuth2 for programs."""

import json
import os
import secrets
import sys
import urllib.parse
from base64 import b64encode
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["SHOP_SECRET"]
BASIC = f"Basic {b64encode(f'matrix:{SECRET}'.encode()).decode()}"
PASSWORDS = {"ann": SECRET, "root": SECRET}
HOLDERS: dict[str, str] = {}


class Handler(BaseHTTPRequestHandler):
    """Answers each path as one framework or another does."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: object, **headers: str) -> None:
        """Send one JSON answer."""
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(data))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def holder(self) -> str | None:
        """Who holds the token or the session of this request."""
        cookies = SimpleCookie(self.headers.get("Cookie", ""))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return HOLDERS.get(cookies["sessionid"].value if "sessionid" in cookies else token)

    def do_GET(self) -> None:
        """Health, the login's page, and who asks."""
        if self.path == "/api/v1/utils/health-check/":
            self.answer(200, True)
        elif self.path == "/accounts/login/":
            self.answer(200, "<form>", Set_Cookie=f"csrftoken={secrets.token_hex(8)}; Path=/")
        elif self.path.startswith("/basic"):
            known = self.headers.get("Authorization") == BASIC
            self.answer(200 if known else 401, {"build": {"commit": "abc"}})
        elif name := self.holder():
            self.answer(200, {"email": name})
        else:
            self.answer(403, {"detail": "Not authenticated"})

    def do_POST(self) -> None:
        """Sign-up, and three kinds of login."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = dict(urllib.parse.parse_qsl(body))
        is_known = form.get("username") in PASSWORDS and PASSWORDS[form["username"]] == form.get("password")
        key = secrets.token_hex(12)
        if self.path == "/api/v1/users/signup":
            user = json.loads(body)
            PASSWORDS[user["email"]] = user["password"]
            self.answer(200, {"id": user["email"]})
        elif self.path == "/api/v1/login/access-token" and is_known:
            HOLDERS[key] = form["username"]
            self.answer(200, {"access_token": key, "token_type": "bearer"})
        elif self.path == "/oauth/token" and self.headers.get("Authorization") == BASIC:
            HOLDERS[key] = "program"
            self.answer(200, {"access_token": key, "token_type": "bearer"})
        elif self.path == "/accounts/login/" and self.guarded() and is_known:
            HOLDERS[key] = form["username"]
            self.answer(302, "", Location="/", Set_Cookie=f"sessionid={key}; Path=/")
        elif self.path == "/orders" and self.guarded() and self.holder():
            self.answer(201, {"of": self.holder()})
        else:
            self.answer(400, {"detail": "Incorrect email or password"})

    def guarded(self) -> bool:
        """Whether the guard's cookie came back in its header."""
        cookies = SimpleCookie(self.headers.get("Cookie", ""))
        return "csrftoken" in cookies and cookies["csrftoken"].value == self.headers.get("X-CSRFToken")

    def log_message(self, *args: object) -> None:
        """Stay quiet."""


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
