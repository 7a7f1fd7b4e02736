"""The official OpenAI clients for an endpoint, for the fixture `real_llm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import MissingExtraError
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.tls import client_context

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI


def new_openai_clients(spec: ServiceSpec, endpoint: Endpoint) -> tuple[OpenAI, AsyncOpenAI]:
    """Return a sync and an async client; the caller closes the first, the second keeps no idle connection.

    The official client stands on httpx2, httpx's successor; ours is still httpx.

    Raises:
        MissingExtraError: the package `openai` is not installed.
    """
    try:
        import httpx2
        from openai import AsyncOpenAI, OpenAI
    except ImportError:
        raise MissingExtraError("openai", "openai") from None
    url = endpoint.field("url")
    key = spec.api_key.get_secret_value() if spec.api_key else "none"  # the client refuses to be made without one
    tls = client_context(endpoint)
    sync = httpx2.Client(verify=tls, trust_env=False)
    per_request = httpx2.AsyncClient(verify=tls, trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0))
    return (
        OpenAI(base_url=url, api_key=key, http_client=sync),
        AsyncOpenAI(base_url=url, api_key=key, http_client=per_request),
    )
