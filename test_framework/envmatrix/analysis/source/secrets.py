"""Secrets that stand in the source: found in its bytes, parsed or not."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from envmatrix.analysis.source.facts import Note

_TOKENS: tuple[tuple[str, tuple[bytes, ...], re.Pattern[bytes]], ...] = (
    ("an AWS access key", (b"AKIA", b"ASIA"), re.compile(rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")),
    ("a GitHub token", (b"ghp_", b"gho_", b"ghs_", b"ghu_", b"ghr_"), re.compile(rb"\bgh[opsur]_[A-Za-z0-9]{36,}\b")),
    ("a GitHub token", (b"github_pat_",), re.compile(rb"\bgithub_pat_[A-Za-z0-9_]{60,}\b")),
    ("a GitLab token", (b"glpat-",), re.compile(rb"\bglpat-[\w-]{20,}")),
    ("a Slack token", (b"xox",), re.compile(rb"\bxox[abeoprs]-(?:\d+-)*[A-Za-z0-9-]{10,}\b")),
    ("a Slack webhook", (b"hooks.slack.com",), re.compile(rb"hooks\.slack\.com/services/T\w{6,}/B\w{6,}/(\w{20,})")),
    ("a Google API key", (b"AIza",), re.compile(rb"\bAIza[\w-]{35}\b")),
    ("a Stripe key", (b"k_live_",), re.compile(rb"\b[rs]k_live_[A-Za-z0-9]{20,}\b")),
    ("an API key", (b"sk-",), re.compile(rb"\bsk-(?:proj-|ant-\w+-|svcacct-)?[\w-]{32,}\b")),
    ("a PyPI token", (b"pypi-AgE",), re.compile(rb"\bpypi-AgE[\w-]{50,}")),
    ("a signed JWT", (b"eyJ",), re.compile(rb"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.([\w-]{20,})")),
    (
        "a private key",
        (b"PRIVATE KEY-----",),
        re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\s\\n\"'br]*([A-Za-z0-9+/=]{40})"),
    ),
)
"""For each kind of token: its description, the bytes without which the pattern need not be tried, and the pattern."""
_HINTS = tuple((hint, kind, pattern) for kind, hints, pattern in _TOKENS for hint in hints)
_NAMES = b"password passwd secret token api_key apikey access_key private_key credential".split()
_ASSIGNED = re.compile(
    rb"\w*[\"']?\]?[ \t]*(?::[ \t]*str[ \t]*=|=(?!=)|:)[ \t]*[bBrRuU]?[\"']([A-Za-z0-9+/=_.~!@#$%^&*-]{20,})[\"']"
)
_IN_URL = re.compile(rb"://[^\s\"'/:@{}$]*:([^\s\"'/@{}$]{12,})@")
_FAKE = re.compile(
    rb"(?i)test|fake|dummy|mock|example|sample|placeholder|change.?me|your|invalid|expired|forged|wrong|insecure|secret"
    rb"|passw|redacted|xxx|not.?a|do.?not|only|canary|demo|stub|foo|bar|spam|lorem|hello|1234|abcd|qwerty|0000|deadbeef"
)
_REPEATED = re.compile(rb"(.)\1{4}|(..)\2{3}|(...)\3{2}")
_HEX = re.compile(rb"[0-9a-fA-F-]+")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""A UUID is an identifier; hardly any secret is one."""
_DIGEST = re.compile(rb"(?:[0-9a-f]{64}){1,2}")
"""The digest of a password, as databases store it."""
_LEAST_BITS, _LEAST_HEX_BITS = 3.6, 3.2
"""Entropy of a character, in bits, from which on a literal looks random; 32 random hexadecimal digits have 3.4 to 3.9."""


def secrets(source: bytes) -> tuple[Note, ...]:
    """Return what looks like a real secret; the message says of which kind it is, never the secret itself."""
    messages: dict[int, str] = {}
    for hint, kind, pattern in _HINTS:
        if hint in source:
            for match in pattern.finditer(source):
                if not _is_fake(match[match.lastindex or 0]):
                    messages.setdefault(match.start(), f"{kind} in the source")
    for match in _assigned(source):
        if _is_random(match[1]) and not _is_fake(match[1]):
            messages.setdefault(match.start(1), "a random literal in the source, assigned to what is called a secret")
    if b"://" in source:
        for match in _IN_URL.finditer(source):
            if _is_random(match[1]) and not _is_fake(match[1]):
                messages.setdefault(match.start(1), "a password in a URL in the source")
    return tuple(Note("EM302", *place_of(source, start), message) for start, message in sorted(messages.items()))


def _assigned(source: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the literals assigned to a name, key or keyword that is called like a secret."""
    lower = source.lower()
    for name in _NAMES:
        start = lower.find(name)
        while start >= 0:
            no_secret = _DIGEST if name in {b"password", b"passwd"} else _UUID
            if (match := _ASSIGNED.match(source, start + len(name))) and not no_secret.fullmatch(match[1]):
                yield match
            start = lower.find(name, start + len(name))


def _is_fake(literal: bytes) -> bool:
    """Return whether a literal is obviously made up."""
    return _FAKE.search(literal) is not None or _REPEATED.search(literal) is not None


def _is_random(literal: bytes) -> bool:
    counts = Counter(literal)
    bits = -sum(count / len(literal) * math.log2(count / len(literal)) for count in counts.values())
    if _HEX.fullmatch(literal):
        return len(literal) >= 32 and bits >= _LEAST_HEX_BITS  # noqa: PLR2004 -- the length of an MD5, the shortest one
    has = re.search(rb"[0-9]", literal), re.search(rb"[a-z]", literal), re.search(rb"[A-Z]", literal)
    return all(has) and bits >= _LEAST_BITS


def place_of(source: bytes, offset: int) -> tuple[int, int]:
    """Return the line and column of an offset, both from 1."""
    return source.count(b"\n", 0, offset) + 1, offset - source.rfind(b"\n", 0, offset)
