"""What proves to a service who asks: the one place that makes it, for probes and for the clients of tests."""

from __future__ import annotations

import functools
import threading
import urllib.parse
from base64 import b64encode
from collections.abc import Mapping

from pydantic import SecretStr

from envmatrix.environments.auth import (
    ApiKeyAuth,
    Auth,
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    CommandAuth,
    CookieAuth,
    PasswordAuth,
)
from envmatrix.masking import MASKER
from envmatrix.services.endpoint import Endpoint, at_url
from envmatrix.services.probes.command import run_command
from envmatrix.services.probes.http import HttpAnswer, HttpProbe
from envmatrix.services.probes.reason import NoAnswerError, RefusedError

_REFUSED = frozenset({400, 401, 403})
"""What a token endpoint answers to wrong credentials (RFC 6749, 5.2)."""


class _Token:
    """The token of one service in this process, made when it is first needed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.value = ""


def auth_headers(endpoint: Endpoint, deadline: float, refused: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the headers that prove to a service who asks; none where it declares no `auth`.

    A token that the headers `refused` carried is made anew, unless that has been done since.

    Raises:
        RefusedError: no token is made of what is declared.
        NoAnswerError: what makes the token gave no answer that holds one.
        OSError: it cannot be reached.
    """
    match endpoint.auth:
        case None:
            return {}
        case BasicAuth() as basic:
            return {"Authorization": f"Basic {basic.credentials}"}
        case BearerAuth(token=token):
            return _bearer(token.get_secret_value())
        case ApiKeyAuth(key=key, header=header):
            return {header: key.get_secret_value()}
        case CookieAuth(cookie=name, value=value):
            return {"Cookie": f"{name}={value.get_secret_value()}"}
        case auth:
            kept = _kept(endpoint.url, auth)
            with kept.lock:
                if not kept.value or (refused and refused == _bearer(kept.value)):
                    kept.value = _new_token(endpoint, auth, deadline)
                    MASKER.add(kept.value)
                return _bearer(kept.value)


def ask(http: HttpProbe, endpoint: Endpoint, url: str, headers: Mapping[str, str] | None = None) -> HttpAnswer:
    """GET a URL of a service with what it declares, and once more where that was a token which has expired.

    `headers` come on top, and win.
    """
    declared = {name: value.get_secret_value() for name, value in endpoint.headers.items()}
    proof = auth_headers(endpoint, http.seconds_left)
    answer = http.request(url, headers={**declared, **proof, **(headers or {})})
    if answer.status == 401 and proof and not proof.keys() & (headers or {}).keys():  # noqa: PLR2004
        renewed = auth_headers(endpoint, http.seconds_left, refused=proof)
        if renewed != proof:
            return http.request(url, headers={**declared, **renewed, **(headers or {})})
    return answer


@functools.cache
def _kept(url: SecretStr, auth: Auth) -> _Token:
    del url, auth  # they are the key
    return _Token()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _new_token(endpoint: Endpoint, auth: PasswordAuth | ClientCredentialsAuth | CommandAuth, deadline: float) -> str:
    if isinstance(auth, CommandAuth):
        token = run_command(auth.command, deadline).strip()
        if not token or not token.isprintable():
            raise NoAnswerError(f"{auth.command[0]} prints no token: one line is wanted")
        return token
    url = auth.token_url if "://" in auth.token_url else endpoint.url.get_secret_value() + auth.token_url
    if (where := at_url(endpoint, url)) is None:
        raise NoAnswerError("token_url is no http(s) URL")
    form, headers = _token_request(auth)
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    with HttpProbe(where, deadline) as http:
        answer = http.request(url, method="POST", headers=headers, content=urllib.parse.urlencode(form).encode())
    path = urllib.parse.urlsplit(url).path
    if answer.status in _REFUSED:
        raise RefusedError(f"POST {path} answers {answer.status} to the declared {auth.type}: {answer.excerpt!r}")
    made = (answer.json_object() or {}).get("access_token")
    if answer.status // 100 != 2 or not isinstance(made, str) or not made:  # noqa: PLR2004
        raise NoAnswerError(f"POST {path} answers {answer.status} without an access_token")
    return made


def _token_request(auth: PasswordAuth | ClientCredentialsAuth) -> tuple[dict[str, str], dict[str, str]]:
    """Return the form and the headers that ask for a token (RFC 6749, 4.3 and 4.4): a client's secret goes by header."""
    form = {"grant_type": "client_credentials"}
    if isinstance(auth, PasswordAuth):
        form = {"grant_type": "password", "username": auth.username, "password": auth.password.get_secret_value()}
    if auth.scope:
        form["scope"] = auth.scope
    if auth.client_secret is not None:
        secret = auth.client_secret.get_secret_value()
        client = ":".join(urllib.parse.quote_plus(word) for word in (auth.client_id, secret))
        return form, {"Authorization": f"Basic {b64encode(client.encode()).decode()}"}
    return form | ({"client_id": auth.client_id} if auth.client_id else {}), {}
