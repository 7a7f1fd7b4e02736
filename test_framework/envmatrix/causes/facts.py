"""What is known about one failure, before any rule has spoken."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envmatrix.services.probes.exchanges import Exchange

if TYPE_CHECKING:
    from envmatrix.runs.ping import Ping
    from envmatrix.services.probes.access import Access

_MAX_CHAIN = 8


class Breaker(enum.StrEnum):
    """Who breaks a promise of the contract where a conformance test fails."""

    PRODUCT = "product"
    ENVIRONMENT = "environment"
    FIXTURE = "fixture"


@dataclass(frozen=True, slots=True)
class Promise:
    """What a conformance test checks, as its marker `promise` says."""

    broken: str
    """What is wrong where the test fails, in a few words: `a token with alg=none is accepted`."""
    breaker: Breaker

    def __str__(self) -> str:
        return f"the {self.breaker} breaks a promise: {self.broken}"


@dataclass(frozen=True, slots=True)
class ProductCrash:
    """The end of a declared command, by itself or for want of memory, which a test met."""

    service: str
    exit_code: int
    """Negative: the signal that ended it."""
    request: str = ""
    """The test's request at that moment: `POST /orders → no answer`; empty where it used a client of its own."""
    by_test: bool = True
    """Whether it ended while or right after the request of this test, and of no other."""
    is_repeated: bool = False
    """Whether this was the test's second run, after a crash in the first."""
    is_up_again: bool = True
    out_of_memory: bool = False
    """Whether the kernel killed it, or a child of it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one failure."""

    phase: str
    """`smoke`, `setup`, `call` or `teardown`."""
    exceptions: tuple[BaseException, ...]
    """The chain, outermost first."""
    pings: Mapping[str, Ping] = field(default_factory=dict)
    """Each service that the test used, and all behind it, looked at right after the failure."""
    required: frozenset[str] = frozenset()
    """Which of them the environment demands."""
    access: tuple[Access, ...] = ()
    """What the protected path of each of them answered right after the failure."""
    exchanges: tuple[Exchange, ...] = ()
    """The test's last requests, oldest first."""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Each declared service that is not absent → `host:port`; empty where it was not started."""
    unawaited: tuple[str, ...] = ()
    """Fixtures of which the test got a coroutine or an asynchronous generator instead of a value."""
    promise: Promise | None = None
    """The promise that a test of the conformance suite checks; `None` for any other test."""
    crashes: tuple[ProductCrash, ...] = ()
    """Those of declared commands that kept a service from the test."""
    variant: str = ""
    """The degraded environment, `local+redis_down`, where the test was run in one."""
    own: frozenset[str] = frozenset()
    """The services of `pings` that were started for this run, and took the login that they are pinged with."""

    @property
    def last_status(self) -> int:
        """Return the status of the last answer that the test got; 0 where it got none."""
        return self.exchanges[-1].status if self.exchanges else 0


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came of, outermost first; a chain that is longer than eight repeats itself."""
    seen = 0
    while error is not None and seen < _MAX_CHAIN:
        yield error
        seen += 1
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
