"""Secrets never reach what we write: a masked string type, and the register that masks any text.

Two nets, since one always has a hole: values that we know to be secret (registered where they are made or read) are
replaced wherever they stand, also base64 and percent-encoded; what only looks like a credential (a JWT, a bearer
header, a password in a URL) is replaced by shape.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from collections.abc import Iterable

MASK = "**********"
_MIN_SECRET = 6
"""Characters. Shorter values would blank out ordinary words, and are no secrets worth the name."""

_SHAPES = (
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), MASK),  # a JWT: its header is a JSON object
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@"), rf"\1:{MASK}@"),  # scheme://user:password@host
    (
        re.compile(
            r"(?i)((?:authorization|x-api-key|api[_-]?key|password|secret|access_token|refresh_token|set-cookie|cookie)"
            r"[\"']?\s*[:=]\s*)([\"']?)(?!\*{4})(?!(?:bearer|basic)\s)(?!none\b|null\b|true\b|false\b)[^\s\"',;&}{)\]]{6,}"
        ),
        rf"\1\2{MASK}",
    ),
)

_SECRET_WORD = re.compile(
    r"(?:\w*(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|(?:API|ACCESS|PRIVATE|SIGNING|ENCRYPTION)KEY)"
    r"|KEY|PASS|PAT|PWD)S?\d*"
)
_HARMLESS = frozenset({"COUNT", "LIMIT", "MAX", "MIN", "PUBLIC"})
_ABOUT_A_SECRET = frozenset(
    {
        "ALGORITHM",
        "DIR",
        "EXPIRY",
        "FILE",
        "HOST",
        "LENGTH",
        "NAME",
        "PATH",
        "PORT",
        "PREFIX",
        "SECONDS",
        "TTL",
        "URI",
        "URL",
    }
)


def is_secret_name(variable: str) -> bool:
    """Return whether a variable's value is secret by its name: `PGPASSWORD`, `api_key_v2`, `MYSQL_PASS`.

    One word of the name is enough, whatever follows it, unless the last one names a property or a place of the secret
    (`TOKEN_TTL`, `SECRET_FILE`) or the value is public or a number (`PUBLIC_KEY`, `MAX_TOKENS`). A URL or a DSN is no
    secret as a whole: its password is masked by its shape, and the host is what a reader needs.
    """
    words = [word for word in re.split(r"[^A-Z0-9]+", variable.upper()) if word]
    if words == ["PWD"] or not any(map(_SECRET_WORD.fullmatch, words)):  # PWD alone is the working directory
        return False
    return words[-1] not in _ABOUT_A_SECRET and _HARMLESS.isdisjoint(words)


class Secret(str):
    """A string that works as itself (in a header, an f-string) and shows as stars in every repr.

    pydantic's `SecretStr` would be safer and would break each test that formats a token into a header; tests written
    for plain dict fixtures must run unchanged.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


class Masker:
    """Knows secret values and hides them in any text. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: str | None) -> None:
        """Register a secret, and the encodings it may travel in."""
        if not secret or len(secret) < _MIN_SECRET:
            return
        forms = {
            secret,
            json.dumps(secret)[1:-1],
            urllib.parse.quote(secret, safe="", errors="surrogatepass"),
            base64.b64encode(secret.encode(errors="surrogatepass")).decode().rstrip("="),
            base64.urlsafe_b64encode(secret.encode(errors="surrogatepass")).decode().rstrip("="),
        }
        with self._lock:
            if forms <= self._values:
                return
            self._values |= forms
            self._pattern = None

    def add_all(self, secrets: Iterable[str | None]) -> None:
        """Register several secrets."""
        for secret in secrets:
            self.add(secret)

    @property
    def knows_secrets(self) -> bool:
        """Return whether any secret was registered."""
        return bool(self._values)

    def mask(self, text: str) -> str:
        """Return the text with every known secret, and everything shaped like one, replaced by stars."""
        with self._lock:
            if self._pattern is None and self._values:
                longest_first = sorted(self._values, key=len, reverse=True)
                self._pattern = re.compile("|".join(map(re.escape, longest_first)))
            pattern = self._pattern
        if pattern is not None:
            text = pattern.sub(MASK, text)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text


MASKER = Masker()
"""This process's own: whatever makes or reads a secret registers it here, whatever writes a text asks it."""
