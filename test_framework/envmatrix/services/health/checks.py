"""A check: one attempt to use a service, whose failure is a result and never raises."""

from __future__ import annotations

import time
from collections.abc import Callable

from envmatrix.exceptions import MissingExtraError
from envmatrix.masking import one_line
from envmatrix.services.health.status import Check, HealthStatus
from envmatrix.services.probes.reason import NoAnswerError, reason_of


class CheckError(NoAnswerError):
    """A service did not do what was tried; the text says what it did."""

    status = HealthStatus.DOWN


class DifferenceError(CheckError):
    """A service works, and not as declared."""

    status = HealthStatus.DEGRADED


class NotTriedError(CheckError):
    """There is nothing to try: the declaration or the service offers none."""

    status = HealthStatus.ABSENT


class NotSeenError(CheckError):
    """We may not look."""

    status = HealthStatus.UNKNOWN


def tried(service: str, name: str, action: Callable[[], str]) -> Check:
    """Return the result of an action that returns what it saw."""
    began = time.monotonic()
    try:
        status, detail = HealthStatus.OK, action()
    except CheckError as error:
        status, detail = error.status, str(error)
    except (MissingExtraError, ImportError) as error:  # nothing of the service's doing
        status, detail = HealthStatus.UNKNOWN, str(error)
    except Exception as error:  # noqa: BLE001  each client has errors of its own, and any of them is the result
        status, detail = HealthStatus.DOWN, reason_of(error, time.monotonic() - began)
    return Check(service, name, status, one_line(detail), time.monotonic() - began)
