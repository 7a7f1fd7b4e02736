"""One completion of a language model, with a bound on what it costs."""

from __future__ import annotations

import time
from collections.abc import Iterator

from envmatrix.environments import ServiceSpec
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.health.checks import CheckError, tried
from envmatrix.services.health.status import Check
from envmatrix.services.kinds.openai_client import new_openai_clients

_TOKENS = 16
"""Tokens of the answer, at most: a real model is slow, and a paid one costs money."""
_SECONDS = 30.0


def completion_checks(spec: ServiceSpec, endpoint: Endpoint) -> Iterator[Check]:
    """Yield whether a model answers; nothing of a service that is none."""
    if spec.kind == "openai":
        yield tried(spec.name, "completion", lambda: _complete(spec, endpoint))


def _complete(spec: ServiceSpec, endpoint: Endpoint) -> str:
    with new_openai_clients(spec, endpoint)[0].with_options(timeout=_SECONDS, max_retries=0) as client:
        model = spec.model or next(iter(client.models.list())).id
        began = time.monotonic()  # only now: the client's import takes longer than most answers
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Say one short word."}], max_tokens=_TOKENS
        )
        seconds = time.monotonic() - began
    if not answer.choices or not answer.choices[0].message.content:
        raise CheckError(f"{model} answers without a text")
    tokens = f"{answer.usage.total_tokens} tokens" if answer.usage else "an answer"
    return f"{model}: {tokens} after {seconds:.2f} s"
