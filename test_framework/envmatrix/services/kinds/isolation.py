"""What kinds share to isolate workers: a service that is not divided, and the removal of a part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import ServiceError, UnreachableError
from envmatrix.services.endpoint import Endpoint


@runtime_checkable
class SharedKind(Protocol):
    """A kind whose servers others use too, so that parts of killed workers are to be dropped."""

    def drop_parts(self, spec: ServiceSpec, endpoint: Endpoint, choose: Callable[[Iterable[str]], list[str]]) -> None:
        """Drop the parts that `choose` returns out of the names of all, as far as we may."""
        ...


@contextmanager
def removing(spec: ServiceSpec, what: str) -> Iterator[None]:
    """Ignore that our own server has ended: the part that was to be removed went with it.

    Raises:
        ServiceError: a remote server does not answer, and keeps `what`.
    """
    try:
        yield
    except UnreachableError as error:
        if spec.outlives_run:
            raise ServiceError(spec.name, f"{error.reason}; left behind on it: {what}") from error


@dataclass(frozen=True)
class WholeService:
    """A worker's part of a service that is not divided: all of it."""

    endpoint: Endpoint

    def reset(self) -> tuple[()]:
        """Do nothing: each test has its own users."""
        return ()
