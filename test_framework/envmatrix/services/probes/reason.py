"""The reason why a probe got no answer, as one short line without secrets."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

from envmatrix.exceptions import EnvmatrixError
from envmatrix.safety.unpatched import text_of


class NoAnswerError(Exception):
    """The service cannot be used; the text is the reason, in one line."""


class RefusedError(NoAnswerError):
    """The service answers, and refuses the declared login, or does not have the declared database."""


def timeout_reason(seconds: float) -> str:
    """Return the reason for a timeout."""
    return f"timeout after {seconds:.1f} s"


def reason_of(error: BaseException, deadline: float) -> str:
    """Return the reason in a few words: clients wrap the one error that matters in others."""
    cause: BaseException | None = error
    while cause is not None:
        for kind, reason in _REASONS:
            if isinstance(cause, kind):
                return reason(cause, deadline)
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__}: {text_of(error)}"


def is_refusal(error: BaseException) -> bool:
    """Return whether a probe failed on what is declared rather than on a service that is not there."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RefusedError | ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


_REASONS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Callable[[Any, float], str]], ...] = (
    ((NoAnswerError, EnvmatrixError), lambda error, _: str(error)),
    (TimeoutError, lambda _, deadline: timeout_reason(deadline)),
    (ConnectionRefusedError, lambda _, __: "connection refused"),
    ((ConnectionResetError, BrokenPipeError), lambda _, __: "connection reset"),
    (socket.gaierror, lambda error, _: f"cannot resolve the host name: {error.strerror}"),
    (ssl.SSLCertVerificationError, lambda error, _: f"certificate verify failed: {error.verify_message}"),
    (ssl.SSLError, lambda error, _: f"TLS failed: {error.reason or error}"),
)
