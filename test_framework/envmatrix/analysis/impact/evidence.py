"""Evidence of an earlier run: which tests ran a function. Where it is complete, it is finer than any reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from envmatrix.analysis.impact.changes import FileChange

FunctionName: TypeAlias = tuple[str, str]
"""The path of a file, and the name of a function with its classes."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The functions that each test of one environment ran at one commit."""

    commit: str
    ran: Mapping[str, frozenset[FunctionName]] = field(default_factory=dict)
    """Test, without parameters → all functions that it ran; tests that are not known are missing."""
    digests: Mapping[FunctionName, str] = field(default_factory=dict)
    """Function → the digest of its syntax tree as it was run."""
    imports: Mapping[str, frozenset[FunctionName]] = field(default_factory=dict)
    """File → the functions that its import ran."""
    shared: frozenset[FunctionName] = frozenset()
    """Functions that ran for no test alone: in a hook, below a cache, before the recording."""

    def tests(self, change: FileChange, name: str) -> frozenset[str] | None:
        """Return the tests that ran a function whose body alone differs; None if the evidence cannot say that."""
        old, new = (version.parts.get(name) for version in (change.parts.old, change.parts.new))
        function = change.path, name
        if (
            old is None
            or new is None
            or old.kind != "function"
            or old.header != new.header
            or function in self.shared
            or self.digests.get(function, old.digest) != old.digest
        ):
            return None
        return frozenset(test for test, functions in self.ran.items() if function in functions)
