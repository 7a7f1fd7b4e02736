"""Hosts of deployments that stand in the source."""

from __future__ import annotations

import ast
import ipaddress
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from envmatrix.analysis.source.facts import Note

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
"""A file with one of these words may mock the network: its hosts are mostly made up."""
_EXAMPLES = ("example.com", "example.org", "example.net")
_RESERVED = (".test", ".example", ".invalid", ".localhost", ".local", ".internal", *(f".{each}" for each in _EXAMPLES))
_NAMES_ONLY = ("w3.org", "schema.org", "purl.org", "xmlsoap.org", "openxmlformats.org", "json-schema.org", "xmlns.com")
"""Hosts of vocabularies, whose URLs are names: no request is sent there."""
_DOCUMENTS = tuple(
    ipaddress.ip_network(each) for each in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
_ADDRESS = re.compile(
    r"(?:^|_)(?:base|root|api|backend|auth|frontend|server|service|gateway|site|app|web|ws|websocket|staging|prod|production"
    r"|qa|health|login|graphql|admin|database|db|redis|cache|broker|clickhouse|postgres|kafka|llm|target)_?ur[li]s?$"
    r"|(?:^|_)(?:host|hostname|endpoint|dsn)s?$",
    re.IGNORECASE,
)
"""Names of deployment addresses; a plain `url` may be any data."""
_DEEPEST_ADDRESS = 2
"""Parts of the path of an address; a deeper one names a single resource."""
_OPENS = re.compile(
    r"get|post|put|patch|delete|head|options|request|connect|urlopen|Client|AsyncClient|Session|create_engine|from_url|goto"
    r"|ws_connect|websocket_connect|create_connection|getenv|setdefault"
)
"""Calls whose arguments are URLs that are opened, or defaults of such."""


def hosts(tree: ast.Module, source: bytes) -> tuple[Note, ...]:
    """Return a note for each host of a deployment whose URL a file uses; comments and docstrings do not count.

    A URL is used if its name says so (`base_url = …`), or if it is an argument of a call that opens it.
    """
    if b"://" not in source:
        return ()
    lines = sorted(
        {source.count(b"\n", 0, match.start()) + 1 for match in _HOST.finditer(source) if _is_suspect(source, match)}
    )
    if not lines or _MOCKED.search(source):
        return ()
    return tuple(dict.fromkeys(_notes(tree.body, lines)))


def _is_suspect(source: bytes, match: re.Match[bytes]) -> bool:
    before = source[source.rfind(b"\n", 0, match.start()) + 1 : match.start()]
    return b"#" not in before and (b'"' in before or b"'" in before) and not _is_reserved(match[1].decode())


def _is_reserved(host: str) -> bool:
    """Return whether a host is no deployment: this machine, a documentation example, or no full name."""
    host = host.lower().rstrip(".").strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if "." not in host:
            return True  # a name of a container, at most
        return host in _EXAMPLES or host.endswith((*_RESERVED, *_NAMES_ONLY))
    return address.is_loopback or address.is_unspecified or any(address in network for network in _DOCUMENTS)


def _notes(body: list[ast.stmt], lines: list[int]) -> Iterator[Note]:
    """Yield the notes of the statements that contain one of these lines."""
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
                if _OPENS.fullmatch(_last_name(function)):
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
    """Return the host of a service's absolute URL; empty for anything else."""
    whole = _WHOLE.fullmatch(url)
    return whole[1] if whole else ""


def _host(node: ast.expr, deepest: int | None = None) -> Iterator[Note]:
    """Yield a note for the host in a literal, an f-string, or the default of an unset variable.

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
