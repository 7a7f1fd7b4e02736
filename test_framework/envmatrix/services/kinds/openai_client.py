"""The official OpenAI clients for an endpoint, for the fixture `real_llm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import MissingExtraError
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.tls import client_context

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI


def new_openai_clients(spec: ServiceSpec, endpoint: Endpoint) -> tuple[OpenAI, AsyncOpenAI]:
    """Return a sync and an async client; the caller closes the first, the second keeps no idle connection.

    Up to version 2 the official client stands on httpx, then on its successor httpx2: it knows itself on which.

    Raises:
        MissingExtraError: the package `openai` is not installed.
    """
    try:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI
    except ImportError:
        raise MissingExtraError("openai", "openai") from None
    url = endpoint.field("url")
    key = spec.api_key.get_secret_value() if spec.api_key else "none"  # the client refuses to be made without one
    options: dict[str, Any] = {"verify": client_context(endpoint), "trust_env": False, "follow_redirects": False}
    limits: Any = httpx.Limits(max_keepalive_connections=0)  # httpx2 reads the very same attributes
    per_request = DefaultAsyncHttpxClient(**options, limits=limits)
    return (
        OpenAI(base_url=url, api_key=key, http_client=DefaultHttpxClient(**options)),
        AsyncOpenAI(base_url=url, api_key=key, http_client=per_request),
    )
