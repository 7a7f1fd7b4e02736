"""Find the imports, assignments and bases of classes of a file by patterns, twenty times as fast as by parsing.

A library from which tests import a few names is not parsed only to see that none of them is a fixture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from envmatrix.analysis.source.facts import Assigned, Binding, Class, Deleted, Import, Module, Name, Other

_WORDS = (b"fixture", b"TestCase", b"unittest", b"pytest", b"__test__")
"""A file without any of these words defines no fixture, mark or test case; it may import some."""

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|(?:[^\n\\#]|\\\r?\n)+)|import[ \t]+([^\n#;]+))",
    re.MULTILINE,
)
_MADE = re.compile(rb"^(\w+)\b[^\n=(#]*=[ \t]*[\w.]+[ \t]*\(", re.MULTILINE)
_DEFINED = re.compile(rb"^([ \t]*)(?:async[ \t]+def|def|class)[ \t]+(\w+)", re.MULTILINE)
_CLASS = re.compile(rb"^class[ \t]+(\w+)\(([^:]*)\)[ \t]*:", re.MULTILINE)
_DOTTED = re.compile(r"[^\W\d][\w.]*")
_COMMENT = re.compile(rb"#[^\n]*")
_ASSIGNED = re.compile(
    rb"^(\w+)[ \t]*=[ \t]*((?!(?:True|False|None)\b)[A-Za-z_][\w.]*)?[ \t]*(?:#[^\n]*)?(\r?$)?", re.MULTILINE
)


def has_our_words(source: bytes) -> bool:
    """Return whether a file may define a fixture, a mark or a test case."""
    return any(word in source for word in _WORDS)


def definitions(source: bytes) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Return the names of functions and classes at the top level of a file, and of those further inside."""
    matches = _DEFINED.findall(source)
    return frozenset(name for indent, name in matches if not indent), frozenset(
        name for indent, name in matches if indent
    )


def made_by_calls(source: bytes) -> frozenset[bytes]:
    """Return the names at the top level of a file that a call's value is assigned to."""
    return frozenset(_MADE.findall(source))


def skim(source: bytes) -> Module:
    """Return the imports, assignments and classes that patterns find in a file; none of them is certain."""
    return Module(body=(*_assigned(source), *_imported(source), *_classes(source)))


def _imported(source: bytes) -> Iterator[Binding]:
    for match in _IMPORT.finditer(source):
        module, names, modules = match.groups()
        if modules is not None:
            for part in modules.decode(errors="replace").split(","):
                words = part.split()
                if words and words[0].replace(".", "").isidentifier():
                    bound = words[2] if len(words) > 2 else words[0].partition(".")[0]  # noqa: PLR2004 -- a as b
                    yield _binding(bound, Import(words[0], ""))
            continue
        text = _COMMENT.sub(b"", names).decode(errors="replace").strip("()").replace("\\", " ")
        for part in text.split(","):
            if words := part.split():
                yield _binding(words[-1], Import(module.decode(errors="replace"), words[0]))


def _assigned(source: bytes) -> Iterator[Binding]:
    for match in _ASSIGNED.finditer(source):
        name, value, end = match.groups()
        is_name = value is not None and end is not None
        yield _binding(name.decode(), Assigned(Name(value.decode()) if is_name else Other()))


def _classes(source: bytes) -> Iterator[Binding]:
    """Yield the classes with bases at the top level, without bodies; their bases are all names between the brackets."""
    for match in _CLASS.finditer(source):
        name, bases = (text.decode(errors="replace") for text in match.groups())
        names = tuple(map(Name, _DOTTED.findall(bases)))
        yield _binding(name, Class(name, 1, 1, 1, 1, bases=names, decorators=(), document="", body=()))


def _binding(name: str, to: Import | Assigned | Class | Deleted) -> Binding:
    return Binding(name, 1, 1, to, is_certain=False)
