"""`websocket_url`: a handshake with a good token succeeds, any other is refused."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from envmatrix.causes import Breaker
from envmatrix.conformance.targets import bearer
from envmatrix.contracts import Reality, RealServices
from envmatrix.services.forgery import FORGERIES
from envmatrix.services.probes.tls import client_context

pytestmark = [pytest.mark.requires("websocket"), pytest.mark.anyio]

SECONDS = 10.0
"""Timeout of a handshake."""


def handshake(services: RealServices, reality: Reality, headers: Mapping[str, str]) -> connect:
    """Return a connection to be opened with some headers."""
    url = services.websocket_url
    assert url is not None
    assert urlsplit(url).scheme in {"ws", "wss"}
    endpoint = next(reality.endpoints[name] for name, spec in reality.environment.services.items() if spec.websocket)
    tls: ssl.SSLContext | None = client_context(endpoint) if url.startswith("wss") else None
    return connect(url, additional_headers=dict(headers), ssl=tls, open_timeout=SECONDS, proxy=None)


async def refusal(connection: connect) -> int:
    """Return the status with which a handshake is refused; 101 where it is not."""
    try:
        async with connection:
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.requires("multi_user")
@pytest.mark.promise("a handshake with a good token is refused", Breaker.PRODUCT)
async def test_websocket_url_admits_a_good_token(real_services: RealServices, matrix_reality: Reality) -> None:
    """The connection opens, and the other side answers a ping frame."""
    async with handshake(real_services, matrix_reality, bearer(real_services.test_jwt_token or "")) as connection:
        assert isinstance(connection, ClientConnection)
        async with asyncio.timeout(SECONDS):
            latency = await (await connection.ping())
    assert latency >= 0


@pytest.mark.promise("a handshake without a token is accepted", Breaker.PRODUCT)
async def test_websocket_url_refuses_nobody(real_services: RealServices, matrix_reality: Reality) -> None:
    """A handshake without a token gets 401 or 403, and no connection."""
    assert await refusal(handshake(real_services, matrix_reality, {})) in {401, 403}


@pytest.mark.parametrize(
    "variant",
    [
        *(
            pytest.param(name, marks=pytest.mark.requires("multi_user"))
            for name in ("foreign signature", "prolonged", "alg=none")
        ),
        "empty",
    ],
)
@pytest.mark.promise("a handshake with a forged token is accepted", Breaker.PRODUCT)
async def test_websocket_url_refuses_a_forged_token(
    real_services: RealServices, matrix_reality: Reality, variant: str
) -> None:
    """A token that a protected path refuses is refused in a handshake."""
    forged = FORGERIES[variant](real_services.test_jwt_token or "")
    assert await refusal(handshake(real_services, matrix_reality, bearer(forged))) in {401, 403}
