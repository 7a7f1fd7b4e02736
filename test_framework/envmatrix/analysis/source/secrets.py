"""What must not stand in source: secrets, and the hosts of somebody's deployment. Found in the bytes first, parsed or not."""

from __future__ import annotations

import ast
import ipaddress
import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator

from envmatrix.analysis.source.facts import Note

# Secrets.

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
"""What it is, the bytes without which the pattern need not be tried, and the pattern."""
_HINTS = tuple((hint, kind, pattern) for kind, hints, pattern in _TOKENS for hint in hints)
_NAMES = (
    b"password",
    b"passwd",
    b"secret",
    b"token",
    b"api_key",
    b"apikey",
    b"access_key",
    b"private_key",
    b"credential",
)
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
"""It names something; secrets are hardly made of it."""
_DIGEST = re.compile(rb"(?:[0-9a-f]{64}){1,2}")
"""Of a password, as databases hold it."""
_LEAST_BITS, _LEAST_HEX_BITS = 3.6, 3.2
"""Entropy of a character, in bits, from which on a literal looks random; 32 random hexadecimal digits have 3.4 to 3.9."""


def secrets(source: bytes) -> tuple[Note, ...]:
    """Return what looks like a real secret; the message says of which kind it is, never the secret itself."""
    found: dict[int, str] = {}
    for hint, kind, pattern in _HINTS:
        if hint in source:
            for match in pattern.finditer(source):
                if not _is_fake(match[match.lastindex or 0]):
                    found.setdefault(match.start(), f"{kind} in the source")
    for match in _assigned(source):
        if _is_random(match[1]) and not _is_fake(match[1]):
            found.setdefault(match.start(1), "a random literal in the source, assigned to what is called a secret")
    if b"://" in source:
        for match in _IN_URL.finditer(source):
            if _is_random(match[1]) and not _is_fake(match[1]):
                found.setdefault(match.start(1), "a password in a URL in the source")
    return tuple(Note("EM302", *_place(source, start), message) for start, message in sorted(found.items()))


def _assigned(source: bytes) -> Iterator[re.Match[bytes]]:
    """Find literals that are assigned to a name, a key or a keyword that says that it is secret."""
    lower = source.lower()
    for name in _NAMES:
        start = lower.find(name)
        while start >= 0:
            no_secret = _DIGEST if name in {b"password", b"passwd"} else _UUID
            if (match := _ASSIGNED.match(source, start + len(name))) and not no_secret.fullmatch(match[1]):
                yield match
            start = lower.find(name, start + len(name))


def _is_fake(literal: bytes) -> bool:
    """Whether anybody sees that it is made up."""
    return _FAKE.search(literal) is not None or _REPEATED.search(literal) is not None


def _is_random(literal: bytes) -> bool:
    counts = Counter(literal)
    bits = -sum(count / len(literal) * math.log2(count / len(literal)) for count in counts.values())
    if _HEX.fullmatch(literal):
        return len(literal) >= 32 and bits >= _LEAST_HEX_BITS  # noqa: PLR2004 -- the length of an MD5, the shortest one
    has = re.search(rb"[0-9]", literal), re.search(rb"[a-z]", literal), re.search(rb"[A-Z]", literal)
    return all(has) and bits >= _LEAST_BITS


def _place(source: bytes, offset: int) -> tuple[int, int]:
    return source.count(b"\n", 0, offset) + 1, offset - source.rfind(b"\n", 0, offset)


# Hosts.

_HOST = re.compile(rb"://(?:[^\s\"'/@]*@)?(\[[0-9a-fA-F:.]+\]|[\w.-]+)")
_WHOLE = re.compile(
    r"(?:https?|wss?|ftp|grpcs?|tcp|postgres(?:ql)?|mysql|mariadb|rediss?|valkey|amqps?|mongodb|clickhouse|kafka|nats)(?:\+\w+)?"
    r"://(?:[^\s/@]*@)?(\[[0-9a-f:.]+\]|[\w.-]+)(?::\d+)?([/?#]\S*)?",
    re.IGNORECASE,
)
_MOCKED = re.compile(
    rb"requests_mock|httpx_mock|respx|aioresponses|httpretty|\bresponses\b|\bvcr|MockTransport|pook|wiremock"
    rb"|unittest\.mock|import mock\b|\bmock\.|\bmock_|Mock\(|\bmocker\b|(?<![.\w])patch(?:\.\w+)?\(|\.setattr\("
)
"""A file that says so answers in place of the network, or may: its hosts are mostly made up."""
_RESERVED = (
    ".test",
    ".example",
    ".invalid",
    ".localhost",
    ".local",
    ".internal",
    ".example.com",
    ".example.org",
    ".example.net",
)
_RESERVED_HOSTS = frozenset({"localhost", "example.com", "example.org", "example.net", "host.docker.internal"})
_NAMES_ONLY = ("w3.org", "schema.org", "purl.org", "xmlsoap.org", "openxmlformats.org", "json-schema.org", "xmlns.com")
"""Their URLs are names of vocabularies: nothing is asked there."""
_DOCUMENTS = tuple(
    ipaddress.ip_network(each) for each in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
_ADDRESS = re.compile(
    r"(?:^|_)(?:base|root|api|backend|auth|frontend|server|service|gateway|site|app|web|ws|websocket|staging|prod|production"
    r"|qa|health|login|graphql|admin|database|db|redis|cache|broker|clickhouse|postgres|kafka|llm|target)_?ur[li]s?$"
    r"|(?:^|_)(?:host|hostname|endpoint|dsn)s?$",
    re.IGNORECASE,
)
"""What is called so is a deployment's address; a `url` alone may be any data."""
_DEEPEST_ADDRESS = 2
"""Parts of its path: what leads deeper names one thing there."""
_SPEAKS = frozenset(
    [
        "get",
        "post",
        "put",
        "patch",
        "delete",
        "head",
        "options",
        "request",
        "connect",
        "urlopen",
        "Client",
        "AsyncClient",
        "Session",
        "create_engine",
        "from_url",
        "goto",
        "ws_connect",
        "websocket_connect",
        "create_connection",
        "getenv",
        "setdefault",
    ]
)


def hosts(tree: ast.Module, source: bytes) -> tuple[Note, ...]:
    """Return the URLs, of hosts that may exist, that a file speaks to; links in comments and docstrings are none.

    A URL counts that is called one (`base_url = …`), or is handed to what opens it.
    """
    if b"://" not in source:
        return ()
    lines = sorted({_place(source, match.start())[0] for match in _HOST.finditer(source) if _is_suspect(source, match)})
    if not lines or _MOCKED.search(source):
        return ()
    return tuple(dict.fromkeys(_notes(tree.body, lines)))


def _is_suspect(source: bytes, match: re.Match[bytes]) -> bool:
    before = source[source.rfind(b"\n", 0, match.start()) + 1 : match.start()]
    return b"#" not in before and (b'"' in before or b"'" in before) and not _is_reserved(match[1].decode())


def _is_reserved(host: str) -> bool:
    """Whether nobody's deployment has this name: it is this machine, a document's example, or no full name at all."""
    host = host.lower().rstrip(".").strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if "." not in host:
            return True  # a name of a container, at most
        return host in _RESERVED_HOSTS or host.endswith((*_RESERVED, *_NAMES_ONLY))
    return address.is_loopback or address.is_unspecified or any(address in network for network in _DOCUMENTS)


def _notes(body: list[ast.stmt], lines: list[int]) -> Iterator[Note]:
    """Look into the statements that hold one of these lines, and no others."""
    for statement in body:
        if bisect_left(lines, statement.lineno) == bisect_right(lines, statement.end_lineno or statement.lineno):
            continue
        for field, value in ast.iter_fields(statement):
            if field in {"body", "orelse", "finalbody"} and isinstance(value, list):
                yield from _notes(value, lines)
            elif field in {"handlers", "cases"}:
                for part in value:
                    yield from _notes(part.body, lines)
        yield from _in_statement(statement)


def _in_statement(statement: ast.stmt) -> Iterator[Note]:
    match statement:
        case ast.Expr(value=ast.Constant()):
            return  # a docstring
        case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
            if _is_address(_last_name(target)):
                yield from _host(value, _DEEPEST_ADDRESS)
    for field, value in ast.iter_fields(statement):
        if field not in {"body", "orelse", "finalbody", "handlers", "cases", "decorator_list"}:
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, ast.AST):
                    yield from _in_expression(each)


def _in_expression(node: ast.AST) -> Iterator[Note]:
    for inner in ast.walk(node):
        match inner:
            case ast.Call(func=function, args=arguments, keywords=keywords):
                for word in keywords:
                    if _is_address(word.arg or ""):
                        yield from _host(word.value, _DEEPEST_ADDRESS)
                if _last_name(function) in _SPEAKS:
                    for argument in arguments[:2]:
                        yield from _host(argument)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str) and _is_address(key.value):
                        yield from _host(value, _DEEPEST_ADDRESS)


def _is_address(name: str) -> bool:
    return _ADDRESS.search(name) is not None


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case _:
            return ""


def host_of(url: str) -> str:
    """Return the host of an absolute URL of a service, whosever it is; empty for anything else."""
    whole = _WHOLE.fullmatch(url)
    return whole[1] if whole else ""


def _host(node: ast.expr, deepest: int | None = None) -> Iterator[Note]:
    """Find the host of a literal, of an f-string that begins with one, or of what stands in for an unset variable.

    Args:
        node: The expression.
        deepest: How many parts the URL's path may have; None for any number.
    """
    match node:
        case ast.Constant(value=str(text)):
            whole = _WHOLE.fullmatch(text)
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            whole = _WHOLE.match(text) if "/" in text.partition("://")[2] else None
        case ast.BoolOp(values=[*_, last]) | ast.Call(args=[_, last]):
            yield from _host(last, deepest)
            return
        case _:
            return
    parts = [part for part in (whole[2] or "").split("/") if part] if whole else []
    if whole and not _is_reserved(whole[1]) and (deepest is None or len(parts) <= deepest):
        yield Note("EM303", node.lineno, node.col_offset + 1, f"the host {whole[1]} stands in the source")
