"""Carries a service's declared `auth` in the clients of httpx that tests use."""

from __future__ import annotations

from collections.abc import Generator

import httpx

from envmatrix.exceptions import AccessRefusedError, UnreachableError
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.auth import auth_headers
from envmatrix.services.probes.http import HttpProbe
from envmatrix.services.probes.reason import NoAnswerError, RefusedError, reason_of


class ClientAuth(httpx.Auth):
    """Adds what proves who asks to requests of one service, and asks once more with a new token where one has expired.

    What a request carries of its own, a user's token say, stays. Other servers get nothing.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request, at most twice.

        Raises:
            AccessRefusedError: no token is made of what is declared.
            UnreachableError: what makes the token gave no answer.
        """
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        if (request.url.host, port) != (self._endpoint.host, self._endpoint.port):
            yield request
            return
        proof = sent = self._headers()
        if "Cookie" in proof and (own := request.headers.get("Cookie")):
            sent = {"Cookie": f"{own}; {proof['Cookie']}"}
        elif any(name in request.headers for name in proof):
            yield request
            return
        request.headers.update(sent)
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED and (renewed := self._headers(refused=proof)) != proof:
            request.headers.update(renewed)
            yield request

    def _headers(self, refused: dict[str, str] | None = None) -> dict[str, str]:
        try:
            return auth_headers(self._endpoint, self._endpoint.timeout, refused)
        except RefusedError as error:
            raise AccessRefusedError(self._endpoint.service, f"refuses what is declared: {error}") from None
        except (NoAnswerError, OSError, *HttpProbe.ERRORS) as error:
            reason = reason_of(error, self._endpoint.timeout)
            raise UnreachableError(self._endpoint.service, f"no token could be had: {reason}") from None
