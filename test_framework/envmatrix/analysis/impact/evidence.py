"""Evidence of an earlier run: which tests ran a function. Where it is complete, it is finer than any reading."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from envmatrix.analysis.impact.changes import FileChange

FunctionName: TypeAlias = tuple[str, str]
"""The path of a file, and the name of a function with its classes, or with the function that it is inside of."""


@dataclass(frozen=True)
class Evidence:
    """The functions that each test of one environment ran at one commit."""

    commit: str
    ran: Mapping[str, frozenset[FunctionName]] = field(default_factory=dict)
    """Test, without parameters → all functions that it ran; tests that are not known are missing."""
    digests: Mapping[FunctionName, str] = field(default_factory=dict)
    """Function → the digest of its syntax tree as it was run, with all that is around it in its function or method."""
    imports: Mapping[str, frozenset[FunctionName]] = field(default_factory=dict)
    """File → the functions that its import ran."""
    shared: frozenset[FunctionName] = frozenset()
    """Functions that ran for no test alone: in a hook, below a cache, before the recording."""

    def tests(self, functions: frozenset[FunctionName]) -> frozenset[str]:
        """Return the tests that ran one of these functions."""
        return frozenset[str]().union(*(self._tests.get(function, ()) for function in functions))

    def differing(self, change: FileChange, name: str) -> frozenset[FunctionName] | None:
        """Return what differs of a function whose body alone does: itself, or some of those inside of it, or of its name.

        None if more differs, or it was run as another.
        """
        old, new = (version.parts.get(name) for version in (change.parts.old, change.parts.new))
        if old is None or new is None or old.kind != "function" or old.header != new.header:
            return None
        before, now = ({piece.name: piece.text for piece in part.pieces} for part in (old, new))
        differ = [each for each in before if before[each] != now.get(each)]
        pieces = [piece.name for piece in old.pieces if any(map(piece.is_in, differ))]
        functions = frozenset((change.path, each) for each in pieces or [name])
        return functions if all(self.digests.get(each, old.digest) == old.digest for each in functions) else None

    def pieces_of(self, path: str, name: str) -> frozenset[FunctionName]:
        """Return a function with those inside of it, and those of its name, as far as they were run."""
        return self._pieces.get((path, name), frozenset())

    @cached_property
    def _pieces(self) -> Mapping[FunctionName, frozenset[FunctionName]]:
        pieces: dict[FunctionName, set[FunctionName]] = defaultdict(set)
        for path, name in self.digests:
            pieces[path, name.partition(".<locals>.")[0].partition("#")[0]].add((path, name))
        return {function: frozenset(inside) for function, inside in pieces.items()}

    @cached_property
    def _tests(self) -> Mapping[FunctionName, frozenset[str]]:
        tests: dict[FunctionName, set[str]] = defaultdict(set)
        for test, ran in self.ran.items():
            for function in ran:
                tests[function].add(test)
        return {function: frozenset(each) for function, each in tests.items()}
