"""What the audit found: one place in the source that breaks one rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """One breach of one rule, at one place."""

    path: str
    """Relative to the root of the tree, with slashes."""
    line: int
    column: int
    code: str
    """`EM101`."""
    message: str
    """One line: what is wrong. No path and no code in it."""
    hint: str = ""
    """What to do next, in one line."""
    tests: tuple[str, ...] = ()
    """Node ids of the tests that it affects."""
    masked: str = ""
    """What hides it from a run of pytest: `skip`, `skipif`, `xfail`."""
