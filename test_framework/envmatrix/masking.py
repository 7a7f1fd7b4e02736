"""Secrets never reach what we write: a masked string type, and the register that masks any text.

Two nets, since one always has a hole: values that we know to be secret (registered where they are made or read) are
replaced wherever they stand, and however they are escaped, encoded, wrapped or cut; what only looks like a credential
(a JWT, a bearer header, a password in a URL) is replaced by shape.
"""

from __future__ import annotations

import re
import sys
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping

from envmatrix.safety.escapes import forms, levels, looks_escaped

MASK = "**********"
_MIN_SECRET = 4
"""Characters. A shorter value is never masked: it would blank out ordinary words."""
_MIN_IN_WORDS = 6
"""Characters. A shorter value is masked only as a word of its own: the password `test` is no part of `test_a`."""
_MIN_LINE = 8
"""Characters. Lines of a key are secrets of their own: reports show and cut a text by lines."""
_MIN_TOKEN = 16
"""Characters of a part of a URL's path that is a token."""
_GRAM = 4
"""Bytes, those of a machine's word."""
_FEW = 64
"""Beginnings of secrets' forms, about a dozen secrets: a search for each takes less than one pass over all bytes in Python."""
_MAX_ESCAPE = 12
"""Bytes of an escape that was cut, with the dots."""
_MAX_LINE = 300
"""Characters; a reason is one line on a terminal, and a hostile server chooses its text."""
_END = b"\xff"
_DOTS = re.compile(rb"\.\.\.|\xe2\x80\xa6")
"""Where pytest or we cut a text."""
_HALF_ESCAPE = re.compile(rb"[0-9a-fA-F]{1,7}|#?\w{1,8};")
_CUT = re.compile(rb"(?:\\[uUx]\w{0,7}|%\w?|&#?\w{0,8})?(?:" + _DOTS.pattern + rb")")
"""The same, perhaps in the middle of an escape."""

_SHAPES = (
    (("eyj",), re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), MASK),  # a JWT: its header is a JSON object
    (("bearer", "basic"), re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    (("@",), re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@"), rf"\1:{MASK}@"),  # scheme://user:password@host
    (
        (
            *("authorization", "apikey", "api_key", "api-key", "passw", "passphrase", "secret", "credential"),
            *("_token", "cookie"),
        ),
        re.compile(
            r"(?i)((?:authorization|x-api-key|api[_-]?key(?:[_-]?v?\d+)?|passw(?:or)?d|passphrase|secret|credentials?"
            r"|access_token|refresh_token|set-cookie|cookie)"
            r"[\"']?\s*[:=]\s*)([\"']?)(?!\*{4})(?!(?:bearer|basic)\s)(?!none\b|null\b|true\b|false\b)[^\s\"',;&}{)\]]{6,}"
        ),
        rf"\1\2{MASK}",
    ),
)
"""Words, of which a text that has the shape has one whatever its case; the shape; what to put in its place."""
_SIGNS = tuple(
    re.compile(sign)
    for sign in (
        rb"j(?<=eyj)",
        rb"k(?:(?<=api[_-]k)ey|(?<=apik)ey|(?<=_tok)en|(?<=cook)ie)",
        rb"pass(?:w|ph)",
        rb"cre(?:(?<=secre)t|dential)",
        rb"authorization",
        rb"bearer",
        rb"basic",
        rb"@",
    )
)
"""The same words in few searches: each begins with plain, rare letters, for which a search is many times as fast."""
_PARAMETERS = (re.compile(rb"\?[\w.-]+="), re.compile(rb"&[\w.-]+="))
_QUERY = re.compile(r"(?<=[?&])([\w.-]+)=([^\s&\"'#<>]{4,})")

_SECRET_WORD = re.compile(
    r"(?:\w*(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|(?:API|ACCESS|PRIVATE|SIGNING|ENCRYPTION)KEY)"
    r"|KEY|PASS|PAT|PWD|SIG|SIGNATURE)S?\d*"
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


def suspects(data: bytes) -> Iterator[int]:
    """Yield where a text in UTF-8 has a word that each shape of a secret has; in no order, some more than once.

    A look at words alone costs a hundredth of masking: of megabytes, only what stands around these places need be masked.
    """
    folded = data.lower()
    for sign in (*_SIGNS, *_PARAMETERS):
        yield from (match.start() for match in sign.finditer(folded))


def secrets_among(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets among variables: the values of telling names, and what is secret in a URL."""
    for name, value in variables.items():
        if is_secret_name(name):
            yield value
        else:
            yield from secrets_in_url(value)


def secrets_among_headers(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets among headers: the values of telling names, and of those that prove who asks."""
    for name, value in headers.items():
        if is_secret_name(name) or name.lower() in {"authorization", "cookie", "proxy-authorization"}:
            yield value


def secrets_in_url(text: str) -> Iterator[str]:
    """Yield a URL's password, the parameters of its query with telling names, and the parts of its path that are tokens."""
    try:
        url = urllib.parse.urlsplit(text)
        password = url.password
    except ValueError:
        return
    if not url.scheme or not url.netloc:
        return
    yield password or ""
    yield from (value for name, value in urllib.parse.parse_qsl(url.query) if is_secret_name(name))
    for part in url.path.split("/"):
        if len(part) >= _MIN_TOKEN and re.search(r"\d", part) and re.search("[a-zA-Z]", part):
            yield part


def secrets_in_command(words: Iterable[str]) -> Iterator[str]:
    """Yield the values of a command's options with telling names, and what is secret in its URLs.

    `--api-key=VALUE`, `--password VALUE`, `--url=https://:SECRET@host`.
    """
    option = ""
    for word in words:
        name, has_value, value = word.partition("=")
        if not word.startswith("-"):
            name, value = option, word
        if value and is_secret_name(name):
            yield value
        else:
            yield from secrets_in_url(value)
        option = "" if has_value else name if word.startswith("-") else ""


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
        self._secrets: set[str] = set()
        self._some_look_escaped = False
        self._forms: dict[int, list[bytes]] = {}
        """What to look for, by its first bytes: one pass over a text finds all, however many there are."""
        self._row = bytearray()
        """All forms in a row, to find the rest of one that was cut."""
        self._known_rests: dict[bytes, list[bytes]] = {}

    def add(self, secret: str | None) -> None:
        """Register a secret; it is hidden in every form that Python and its neighbours print it in."""
        if not secret or len(secret) < _MIN_SECRET or secret in self._secrets:
            return
        lines = [line.strip() for line in secret.splitlines()] if "\n" in secret else []
        kept = [line for line in lines if len(line) >= _MIN_LINE and not line.startswith("-----")]
        found = {_comparable(form) for each in (secret, *kept) for form in forms(each)}
        with self._lock:
            self._secrets.add(secret)
            self._known_rests = {}
            self._some_look_escaped = self._some_look_escaped or looks_escaped(secret)
            for form in found:
                if len(form) >= _GRAM and form not in (known := self._forms.setdefault(_gram(form), [])):
                    known.append(form)
                    self._row += form + _END

    def add_all(self, secrets: Iterable[str | None]) -> None:
        """Register several secrets."""
        for secret in secrets:
            self.add(secret)

    @property
    def knows_secrets(self) -> bool:
        """Return whether any secret was registered."""
        return bool(self._forms)

    def mask(self, text: str) -> str:
        """Return the text with every known secret, and everything shaped like one, replaced by stars."""
        text = self.mask_known(text)
        folded = text.casefold()  # a search for words costs a hundredth of a search for a shape
        for words, shape, replacement in _SHAPES:
            if any(word in folded for word in words):
                text = shape.sub(replacement, text)
        return _QUERY.sub(lambda match: f"{match[1]}={MASK}" if is_secret_name(match[1]) else match[0], text)

    def mask_known(self, text: str) -> str:
        """Return the text with every known secret replaced by stars."""
        if not self._forms:
            return text
        data = text.encode(errors="surrogatepass")
        undone = levels(data, each_kind=self._some_look_escaped)
        spans = sorted(level.source(*span) for level in undone for span in self._spans(level.data))
        if not spans:
            return text
        parts: list[bytes] = []
        end = -1
        for span in spans:
            start, stop = _whole_characters(data, *span)
            if start > end:
                parts += (data[max(end, 0) : start], MASK.encode())
            end = max(end, stop)
        return b"".join((*parts, data[end:])).decode(errors="surrogatepass")

    def _spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where secrets stand in one level of a text, whole or up to where the text was cut."""
        data = _comparable(data)
        for at in self._starts(data):
            for form in self._forms[_gram(data, at)]:
                end = at + len(form)
                if data.startswith(form, at):
                    if len(form) >= _MIN_IN_WORDS or not (_is_word(data[at - 1 : at]) or _is_word(data[end : end + 1])):
                        yield at, end
                elif (cut := _CUT.search(data, at + _GRAM, end + _MAX_ESCAPE)) and form.startswith(
                    data[at : cut.start()]
                ):
                    yield at, cut.start()
        yield from self._spans_behind_cuts(data)

    def _spans_behind_cuts(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where the rests of secrets stand whose beginning was cut off."""
        for cut in _DOTS.finditer(data):
            end = cut.end()
            half = _HALF_ESCAPE.match(data, end)
            for start in range(end, half.end() + 1 if half else end + 1):
                for rest in self._rests(data[start : start + _GRAM]):
                    if data.startswith(rest, start):
                        yield end, start + len(rest)

    def _starts(self, data: bytes) -> list[int]:
        """Return where the first bytes of a form stand."""
        if len(self._forms) <= _FEW:
            return [at for gram in self._forms for at in _places(data, gram.to_bytes(_GRAM, sys.byteorder))]
        starts: list[int] = []
        for offset in range(_GRAM):
            grams = memoryview(data)[offset : len(data) - (len(data) - offset) % _GRAM].cast("I")
            if not self._forms.keys().isdisjoint(grams):
                starts += [offset + _GRAM * at for at, gram in enumerate(grams) if gram in self._forms]
        return starts

    def _rests(self, gram: bytes) -> list[bytes]:
        """Return the ends of forms that begin with some bytes."""
        if (rests := self._known_rests.get(gram)) is None:
            rests = []
            at = self._row.find(gram) if len(gram) == _GRAM else -1
            while at >= 0:
                rests.append(bytes(self._row[at : self._row.index(_END, at)]))
                at = self._row.find(gram, at + 1)
            self._known_rests[gram] = rests
        return rests


def _places(data: bytes, word: bytes) -> Iterator[int]:
    at = data.find(word)
    while at >= 0:
        yield at
        at = data.find(word, at + 1)


def _gram(data: bytes, at: int = 0) -> int:
    return int.from_bytes(data[at : at + _GRAM], sys.byteorder)


def _whole_characters(data: bytes, start: int, end: int) -> tuple[int, int]:
    while data[start] & 0xC0 == 0x80:  # noqa: PLR2004  within a character of several bytes in UTF-8
        start -= 1
    while data[end : end + 1] and data[end] & 0xC0 == 0x80:  # noqa: PLR2004  the same
        end += 1
    return start, end


def _comparable(data: bytes) -> bytes:
    """Return the bytes with `+` for a space: only whoever wrote a URL knows which it was."""
    return data.replace(b" ", b"+")


def _is_word(character: bytes) -> bool:
    return character.isalnum() or character == b"_"


MASKER = Masker()
"""This process's own: whatever makes or reads a secret registers it here, whatever writes a text asks it."""


def one_line(text: str) -> str:
    """Return a text that a server or a test chose as one line of at most 300 characters, masked."""
    return MASKER.mask(" ".join(re.sub(r"[^\w\s!-~…→]", "?", text).split()))[:_MAX_LINE]
