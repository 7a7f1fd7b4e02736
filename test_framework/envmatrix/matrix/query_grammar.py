"""The grammar of a query: from its text to a tree. `query.py` says what the tree means.

`page/src/query.ts` is the same language for the page; the cases of `query_cases.json` hold both to one meaning.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from envmatrix.exceptions import QueryError, nearest
from envmatrix.matrix.compare import ChangeKind
from envmatrix.runs.outcomes import Cause, Outcome


class Form(NamedTuple):
    """How a part of a query is written, and what it means."""

    syntax: str
    meaning: str


REUSED, DIFFERS = "reused", "differs"

CHANGES = tuple(kind for kind in ChangeKind if kind is not ChangeKind.REMOVED)
"""How a cell may have changed; a removed test has no cell."""

FLAGS = {
    REUSED: Form(REUSED, "the cell is taken over from an earlier run"),
    DIFFERS: Form(DIFFERS, "the test has not the same outcome in every environment that planned it"),
}

KEYS = {
    "in": Form("in:ENV", "the cell is of that environment"),
    "cause": Form("cause:CAUSE", f"the cell has that cause: {', '.join(f'`{cause}`' for cause in Cause)}"),
    "rule": Form("rule:CODE", "that rule decided the cause: `rule:L401`"),
    "requires": Form("requires:NAME", "the test used that service there, or exercised that capability"),
    "file": Form("file:TEXT", "the path of the test's file holds the text, in capitals or not"),
}
"""What may stand before a colon, besides an environment."""

OTHER_FORMS = (
    Form("ENV:WORD", "the cell of that environment is so: `staging:failed`; WORD is an outcome, a change or `reused`"),
    Form("duration > 2s", "all attempts together took longer; also `<`, `<=`, `=`, `>=`, and `500ms`, `1.5m`"),
    Form("count(A) > 1", "A is true of more than one of the test's cells; also `<`, `<=`, `=`, `>=`"),
    Form('text, "text"', "the test's node id, or the cell's reason in one line, holds the text, in capitals or not"),
    Form("A B, A and B", "both hold"),
    Form("A or B, A | B", "at least one holds"),
    Form("not A, -A, !A", "it does not hold"),
    Form("(A)", "what stands between the parentheses holds"),
)

CELL_WORDS = frozenset({*(outcome.value for outcome in Outcome), *(kind.value for kind in CHANGES), REUSED})


@dataclass(frozen=True, slots=True)
class Word:
    """An outcome, a change or a flag."""

    name: str


@dataclass(frozen=True, slots=True)
class At:
    """What the cell of one environment is."""

    environment: int
    """Number of its column."""
    word: str


@dataclass(frozen=True, slots=True)
class In:
    """Where the cell is."""

    environment: int
    """Number of its column."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A key of `KEYS` besides `in`, with its value."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Text:
    """What the node id or the cell's line holds."""

    text: str
    """In lower case."""


@dataclass(frozen=True, slots=True)
class Duration:
    """How long the cell took."""

    comparison: str
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Count:
    """How many cells of the test fit."""

    part: Node
    comparison: str
    number: int


@dataclass(frozen=True, slots=True)
class Not:
    """What does not hold."""

    part: Node


@dataclass(frozen=True, slots=True)
class Every:
    """What holds together; nothing always does."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Of which one holds."""

    parts: tuple[Node, ...]


Simple = Word | At | In | Pair | Text | Duration
Node = Simple | Count | Not | Every | Either


def parse(text: str, environments: Sequence[str], *, with_changes: bool = True) -> Node:
    """Return the tree of a query; an empty one always holds.

    Raises:
        QueryError: it cannot be understood, or, unless `with_changes`, asks how a cell changed.
    """
    return _Parser(text, environments, with_changes=with_changes).parse()


_END = "end"
_OPENING, _CLOSING, _COUNT = "(", ")", "count("
_COMPARISON, _QUOTED, _WORD = "comparison", "quoted", "word"

_SPACE = " \\t\\r\\n\N{NO-BREAK SPACE}"
_TOKENS = re.compile(
    rf"""
      [{_SPACE}]+
    | (?P<count>count\()
    | (?P<sign>[()|!-])
    | (?P<comparison>[<>]=?|=)
    | "(?P<quoted>(?:[^"]|"")*)"
    | (?P<word>[^{_SPACE}()|"<>=]+)
    | (?P<open>")
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SIGNS = {"|": "or", "!": "not", "-": "not"}
_OPERATORS = frozenset({"or", "and", "not"})

_NUMBER = re.compile("[0-9]{1,9}")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m)", re.IGNORECASE)
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000}

_DEEPEST = 50
"""Parentheses and negations inside of each other."""


class _Token(NamedTuple):
    kind: str
    """A sign, an operator, or one of the constants above."""
    text: str
    at: int


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKENS.finditer(text):
        kind, value, at = match.lastgroup, match[match.lastgroup or 0], match.start()
        if kind == "open":
            raise QueryError("this quotation mark is never closed", at=at)
        if kind == "quoted":
            yield _Token(_QUOTED, value.replace('""', '"'), at)
        elif kind == "comparison":
            yield _Token(_COMPARISON, value, at)
        elif kind == "word":
            yield _Token(value.lower() if value.lower() in _OPERATORS else _WORD, value, at)
        elif kind is not None:
            yield _Token(_SIGNS.get(value, value.lower()), value, at)
    yield _Token(_END, "", len(text))


class _Parser:
    """Descends from `or` to words. A mistake is a `QueryError`."""

    def __init__(self, text: str, environments: Sequence[str], *, with_changes: bool) -> None:
        self._text = text
        self._environments = environments
        self._with_changes = with_changes
        self._tokens = list(_tokens(text))
        self._position = 0
        self._depth = 0

    def parse(self) -> Node:
        if self._next.kind == _END:
            return Every(())
        node = self._either()
        if self._next.kind != _END:
            raise self._error(self._next.at, "no parenthesis is open here")
        return node

    @property
    def _next(self) -> _Token:
        return self._tokens[self._position]

    def _take(self) -> _Token:
        token = self._next
        self._position += 1
        return token

    def _error(self, at: int, what: str, hint: str = "") -> QueryError:
        return QueryError(what, hint, at)

    def _either(self) -> Node:
        parts = [self._every()]
        while self._next.kind == "or":
            self._take()
            parts.append(self._every())
        return Either(tuple(parts)) if len(parts) > 1 else parts[0]

    def _every(self) -> Node:
        parts = [self._term()]
        while self._next.kind not in {_END, _CLOSING, "or"}:
            if self._next.kind == "and":
                self._take()
            parts.append(self._term())
        return Every(tuple(parts)) if len(parts) > 1 else parts[0]

    def _term(self) -> Node:
        token = self._next
        if token.kind in {_END, _CLOSING, "or", "and"}:
            raise self._error(token.at, "a word is missing here")
        self._take()
        if token.kind == _COMPARISON:
            what = f"only `duration` and `count(…)` are compared; text with {token.text!r} goes in quotes"
            raise self._error(token.at, what)
        if token.kind == _QUOTED:
            return Text(token.text.lower())
        if token.kind == _WORD:
            return self._word(token)
        return self._nested(token)

    def _nested(self, token: _Token) -> Node:
        """Return what a negation, a parenthesis or a count is about."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(token.at, "this is nested too deeply")
        if token.kind == "not":
            node: Node = Not(self._term())
        else:
            node = self._either()
            if self._next.kind != _CLOSING:
                raise self._error(token.at, "this parenthesis is never closed")
            self._take()
            if token.kind == _COUNT:
                node = self._count(node)
        self._depth -= 1
        return node

    def _count(self, part: Node) -> Node:
        what = "`count(…)` is compared with a whole number"
        if self._next.kind != _COMPARISON:
            raise self._error(self._next.at, what, "Write count(failed) > 1")
        comparison, number = self._take().text, self._take_number()
        if not _NUMBER.fullmatch(number.text):
            raise self._error(number.at, what, "Write count(failed) > 1")
        return Count(part, comparison, int(number.text))

    def _take_number(self) -> _Token:
        return self._take() if self._next.kind == _WORD else self._next._replace(text="")

    def _word(self, token: _Token) -> Node:
        word = token.text.lower()
        if word == "duration" and self._next.kind == _COMPARISON:
            return self._duration()
        if word in CELL_WORDS or word in FLAGS:
            return Word(self._cell_word(token.at, word))
        key, colon, value = token.text.partition(":")
        if not key or not colon or value.startswith(":"):  # `::` is of a node id
            return Text(word)
        at = token.at + len(key) + 1
        if not value and self._next.kind == _QUOTED and self._next.at == at:
            value = self._take().text
        return self._pair(token, key, value, at)

    def _duration(self) -> Node:
        comparison, number = self._take().text, self._take_number()
        match = _DURATION.fullmatch(number.text)
        if match is None:
            raise self._error(
                number.at, "a duration is a number with its unit", "Write duration > 2s, or 500ms, or 1.5m"
            )
        return Duration(comparison, int(float(match[1]) * _UNITS[match[2].lower()] + 0.5))

    def _pair(self, token: _Token, key: str, value: str, at: int) -> Node:
        name = key.lower()
        if name not in KEYS and key not in self._environments:
            what = f"no key or environment is called {key!r}; text with a colon goes in quotes"
            raise self._error(token.at, what, nearest(name, [*KEYS, *self._environments]))
        if not value:
            raise self._error(at, f"'{key}:' has no value")
        if name == "in":
            return In(self._environments.index(self._known(at, "environment", value, self._environments)))
        if name == "cause":
            return Pair(name, self._known(at, "cause", value.lower(), [cause.value for cause in Cause]))
        if name in KEYS:
            return Pair(name, {"file": value.lower(), "rule": value.upper()}.get(name, value))
        word = self._known(at, "outcome or change", value.lower(), CELL_WORDS)
        return At(self._environments.index(key), self._cell_word(at, word))

    def _cell_word(self, at: int, word: str) -> str:
        if word in CHANGES and not self._with_changes:
            what = f"{word!r} says how a cell changed, and there is nothing to compare with"
            raise self._error(at, what, "Name it with --against, or quote the word to search for it")
        return word

    def _known(self, at: int, what: str, value: str, known: Collection[str]) -> str:
        if value not in known:
            raise self._error(at, f"no {what} is called {value!r}", nearest(value, known))
        return value
