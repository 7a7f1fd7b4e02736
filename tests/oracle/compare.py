"""Two accounts of one suite, pytest's and ours, test by test and name by name."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from envmatrix.analysis.index.answers import Fixture, Found, Missing, Request, Unknown
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.index.tests import Test

Key: TypeAlias = tuple[str, ...]
"""A test: its file, absolute, its classes, its name."""
Place: TypeAlias = tuple[str, int]
"""A definition: its file, absolute and without links, and the line with which its code begins."""
Chain: TypeAlias = tuple[Place, ...]
"""The definitions that answer a request, nearest first; empty where there is none."""


class Verdict(StrEnum):
    """How the two accounts of one request compare."""

    AGREE = "agree"
    FALSE = "false"
    """We say missing, pytest finds it."""
    MISSED = "missed"
    """Pytest does not find it, and we do not say so."""
    WRONG = "wrong"
    """Both find it, and not the same definition."""
    UNTOLD = "untold"
    """Pytest finds it, and we do not know that it is asked for."""
    UNHEARD = "unheard"
    """We find it, and pytest does not know that it is asked for."""
    UNKNOWN = "unknown"
    """We answer that the source does not tell."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One request on which the two do not agree."""

    verdict: Verdict
    test: Key
    name: str
    pytest: str
    ours: str

    def __str__(self) -> str:
        where = "::".join((os.path.relpath(self.test[0]), *self.test[1:]))
        return f"{self.verdict} {self.name} in {where}: pytest {self.pytest}, ours {self.ours}"


@dataclass(frozen=True, slots=True)
class Account:
    """What pytest collected of a suite."""

    root: Path
    pytest: str
    python: str
    tests: dict[Key, dict[str, Chain | None]]
    """Test → requested name → its definitions; None for a parametrized name."""
    dynamic: dict[Key, dict[str, Chain]]
    """The same for words in functions that call `getfixturevalue`."""
    left: tuple[str, ...]
    """Files and classes that pytest could not collect, or that skip themselves."""

    @classmethod
    def read(cls, path: Path) -> Account:
        """Read what the plugin wrote.

        Raises:
            ValueError: it is not whole.
        """
        rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if not rows or rows[-1]["kind"] != "end":
            msg = f"{path}: pytest did not reach its end; see its output"
            raise ValueError(msg)
        root = Path(rows[0]["root"])
        tests: dict[Key, dict[str, Chain | None]] = {}
        dynamic: dict[Key, dict[str, Chain]] = {}
        for row in rows:
            if row["kind"] == "test":
                key = (os.path.normpath(root / row["path"]), *row["classes"], row["name"])
                tests[key] = {
                    name: None if chain == "direct" else _chain(chain) for name, chain in row["requests"].items()
                }
                dynamic[key] = {name: _chain(chain) for name, chain in row["dynamic"].items()}
        left = tuple(row["nodeid"] for row in rows if row["kind"] == "left")
        return cls(root, rows[0]["pytest"], rows[0]["python"], tests, dynamic, left)

    def is_left(self, key: Key) -> bool:
        """Return whether pytest could not collect the file or class of this test."""
        path = os.path.relpath(key[0], self.root)
        nodeid = "::".join((path, *key[1:]))
        return any(
            nodeid == left or nodeid.startswith((f"{left}::", f"{left}/")) or left in ("", ".") for left in self.left
        )


@dataclass
class Comparison:
    """The result of a comparison."""

    counts: Counter[Verdict] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    only_pytest: list[Key] = field(default_factory=list)
    """Tests that only pytest collects."""
    only_ours: list[Key] = field(default_factory=list)
    files: int = 0
    tests: int = 0
    missing: int = 0
    """Requests that are missing to both."""
    left: int = 0
    """Tests of ours in what pytest could not collect."""

    @property
    def requests(self) -> int:
        """Return how many were compared."""
        return self.counts.total()

    @property
    def is_right(self) -> bool:
        """Return whether no answer of ours contradicts pytest's; `unknown` contradicts nothing."""
        return not any(self.counts[each] for each in (Verdict.FALSE, Verdict.MISSED, Verdict.WRONG))


def compare(account: Account, index: Index) -> Comparison:
    """Compare pytest's account of a suite with our index of the same files."""
    found = Comparison(files=len({key[0] for key in account.tests}))
    remaining = dict(account.tests)
    for test in index.tests:
        key = (os.path.normpath(index.root / test.path), *test.classes, test.name)
        theirs = remaining.pop(key, None)
        if theirs is not None:
            found.tests += 1
            for name, pytest, ours, verdict in _requests(index, test, theirs, account.dynamic[key]):
                found.counts[verdict] += 1
                found.missing += verdict is Verdict.AGREE and pytest == "()"
                if verdict is not Verdict.AGREE:
                    found.differences.append(Difference(verdict, key, name, pytest, ours))
        elif key in account.tests:
            pass  # the same name twice in our index: pytest has one
        elif account.is_left(key):
            found.left += 1
        else:
            found.only_ours.append(key)
    found.only_pytest = list(remaining)
    return found


def _requests(
    index: Index, test: Test, theirs: dict[str, Chain | None], dynamic: dict[str, Chain]
) -> Iterator[tuple[str, str, str, Verdict]]:
    asked: dict[str, list[Request]] = {}
    for request in index.requests(test):
        if request.how != "getfixturevalue":
            asked.setdefault(request.name, []).append(request)
        elif request.name in dynamic:
            answer = _ours(index, [request])
            yield request.name, str(dynamic[request.name]), str(answer), _verdict(dynamic[request.name], answer)
    asked.pop("request", None)
    answers = {name: _ours(index, each) for name, each in asked.items()}
    doubt = next((answer.unknown for answer in answers.values() if answer.unknown), "")
    for name in dict.fromkeys((*answers, *theirs)):
        if name not in answers:
            yield name, str(theirs[name]), doubt or "does not ask", _unasked(theirs[name], doubt)
        elif (pytest := theirs.get(name)) is not None:
            yield name, str(pytest), str(answers[name]), _verdict(pytest, answers[name])
        else:
            ours = answers[name]
            beyond = Verdict.AGREE if name in theirs else Verdict.UNHEARD
            verdict = Verdict.UNKNOWN if ours.unknown else beyond if ours.chain else Verdict.FALSE
            yield name, "parametrizes" if name in theirs else "does not ask", str(ours), verdict


def _unasked(pytest: Chain | None, doubt: str) -> Verdict:
    """Compare a request that only pytest knows: an unknown definition may be what asks for it."""
    if pytest is None:
        return Verdict.AGREE
    if doubt:
        return Verdict.UNKNOWN
    return Verdict.UNTOLD if pytest else Verdict.MISSED


def _verdict(pytest: Chain, ours: _Answer) -> Verdict:
    if ours.unknown or (pytest != ours.chain and not ours.is_certain):
        return Verdict.UNKNOWN
    if not pytest or not ours.chain:
        return Verdict.AGREE if pytest == ours.chain else Verdict.MISSED if ours.chain else Verdict.FALSE
    return Verdict.AGREE if pytest == ours.chain else Verdict.WRONG


@dataclass(frozen=True, slots=True)
class _Answer:
    """Our answer: the longest chain of overriding definitions, or the reason why it is unknown."""

    chain: Chain = ()
    unknown: str = ""
    is_certain: bool = True
    """False where one of the chain is made under a condition."""

    def __str__(self) -> str:
        return self.unknown or str(self.chain)


def _ours(index: Index, requests: Iterable[Request]) -> _Answer:
    chains: list[Chain] = []
    unknown, is_certain = "", True
    for request in requests:
        match request.answer:
            case Found(fixtures):
                chains.append(tuple(_place(index, fixture) for fixture in fixtures))
                is_certain = is_certain and all(fixture.is_certain for fixture in fixtures)
            case Unknown(why=why):
                unknown = why
            case Missing():
                chains.append(())
    return _Answer(max(chains, key=len), "", is_certain) if chains else _Answer((), unknown)


def _place(index: Index, fixture: Fixture) -> Place:
    line = fixture.function.first_line if fixture.function else fixture.line
    return os.path.realpath(index.root / fixture.path), line


def _chain(places: Iterable[tuple[str, int]]) -> Chain:
    return tuple((path, line) for path, line in places)
