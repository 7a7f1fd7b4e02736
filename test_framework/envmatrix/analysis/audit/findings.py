"""A finding of the audit: one place in the source that breaks one rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True, slots=True)
class AuditFinding:
    """A breach of one rule at one place."""

    path: str
    """Relative to the root of the tree, with slashes."""
    line: int
    column: int
    code: str
    """`EM101`."""
    message: str
    """One line: what is wrong. It names no code and no line: the baseline knows a finding by it."""
    hint: str = ""
    """What to do next, in one line."""
    tests: tuple[str, ...] = ()
    """Node ids of the tests that it affects."""
    masked: str = ""
    """What hides it from a run of pytest: `skip`, `skipif`, `xfail`."""
    noqa: str = ""
    """Of EM199: the code that the comment names."""
    absent: tuple[str, ...] = ()
    """Of EM108: plugins that may provide the fixture, but are not installed here."""
