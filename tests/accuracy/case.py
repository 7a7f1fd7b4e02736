"""One injected fault with its known right cause."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from envmatrix.gate import Answer
from envmatrix.runs.outcomes import Outcome
from tests.accuracy.declare import TINY


class Truth(enum.StrEnum):
    """The true state of a test: nothing wrong, or the cause."""

    PASSED = "passed"
    CONTRACT = "contract"
    INFRASTRUCTURE = "infrastructure"
    LOGIC = "logic"
    HARNESS = "harness"
    UNDETERMINED = "undetermined"
    """The evidence conflicts or is missing: `undetermined` is the right answer."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A service that runs outside of the tool: started before pytest, which gets its URL alone."""

    service: str = "backend"
    variable: str = "BACKEND_URL"
    """The variable of pytest's environment that gets the URL."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables of its process; a value that names the variable of an earlier remote stands for that one's URL."""
    tls: bool = False
    """Whether it serves TLS, with a certificate of its own authority, whose file goes into CA_FILE."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run of pytest in a project of its own, with one thing wrong, or nothing."""

    name: str
    injected: str
    """The injected fault, in words."""
    truth: Truth
    """The cause of each test that `also` does not name; with `whole`, what the run as a whole must say."""
    tests: str
    """The source of its test file."""
    rule: str = ""
    """The rule that must have decided, where it matters which."""
    outcome: Outcome | None = None
    """The outcome that these tests must have; by default `passed`, or else `failed` or `not_run`."""
    also: Mapping[str, Truth] = field(default_factory=dict)
    """Other tests of the run → the truth about each."""
    verdict: Answer | None = None
    """The right verdict on the environment; by default derived from the truths."""
    shared: str = ""
    """Cases of one such name run together, each in a file of its own: they differ in their tests alone, and none
    leaves a fault behind."""
    whole: bool = False
    """The fault belongs to the run and to none of its tests."""
    environment: str = TINY
    """A declaration, or the name of a file in `environments/`."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Service → the faults that it has from its start, in words of faulty_server.py."""
    remotes: tuple[Remote, ...] = ()
    conftest: str = ""
    arguments: tuple[str, ...] = ()
    """More arguments of pytest."""

    @property
    def due(self) -> Answer:
        """Return the verdict that is right."""
        if self.verdict is not None:
            return self.verdict
        truths = {self.truth, *self.also.values()}
        if truths & {Truth.CONTRACT, Truth.LOGIC}:
            return Answer.INCOMPATIBLE
        return Answer.COMPATIBLE if truths == {Truth.PASSED} else Answer.UNKNOWN
