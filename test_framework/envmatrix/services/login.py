"""One login, as a product wants it: JSON or a form, answered with a token or with a session's cookie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from envmatrix.environments import UserRoutes
from envmatrix.exceptions import UserError
from envmatrix.masking import MASKER, Secret
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.http import new_client
from envmatrix.services.kinds.http_health import value_at


@dataclass(frozen=True)
class Login:
    """What a login gave."""

    answer: Mapping[str, Any] = field(repr=False)
    """The JSON object of its answer; empty where that is none, as of a session."""
    headers: Mapping[str, str] = field(repr=False)
    """What proves from now on who asks."""
    token: str = field(default="", repr=False)
    """Empty where a session's cookie is the proof."""

    @property
    def refresh_token(self) -> str | None:
        """Return the token that renews; `None` where there is none."""
        token = self.answer.get("refresh_token")
        return Secret(token) if token else None


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": Secret(f"Bearer {token}")}


def log_in(routes: UserRoutes, endpoint: Endpoint, fields: Mapping[str, object]) -> Login:
    """Log in with the fields `email`, `password` and any others.

    Raises:
        UserError: the environment refused, or its answer is not what is declared.
        httpx.TransportError: the service could not be reached.
    """
    names = {str(name): spelling for name, spelling in routes.fields.items()}
    body = {names.get(name, name): value for name, value in fields.items()}
    with new_client(endpoint) as client:  # of its own, since it keeps the cookies
        guard = _guard(routes, client)
        encoded: dict[str, Any] = {"data": body} if routes.encoding == "form" else {"json": body}
        response = client.post(routes.login, headers=guard, **encoded)
        answer = json_object(response)
        if routes.session is None:
            return _with_token(routes, response, answer)
        if response.is_error or routes.session not in response.cookies:
            what = f"answered {response.status_code} at {routes.login} without the cookie {routes.session!r}"
            raise UserError("login", what, response.status_code)
        cookies = {cookie.name: cookie.value or "" for cookie in client.cookies.jar}
        MASKER.add_all([cookies[routes.session], cookies.get(routes.csrf.cookie) if routes.csrf else None])
        sent = Secret("; ".join(f"{name}={value}" for name, value in cookies.items()))
        return Login(answer or {}, {"Cookie": sent, **_guard_of(routes, client)})


def _guard(routes: UserRoutes, client: httpx.Client) -> dict[str, str]:
    """Return the headers that a guarded login wants, of the cookie that its page sets."""
    if routes.csrf is None:
        return {}
    client.get(routes.login)
    if routes.csrf.cookie not in client.cookies:
        raise UserError("login", f"GET {routes.login} sets no cookie {routes.csrf.cookie!r}")
    return _guard_of(routes, client)


def _guard_of(routes: UserRoutes, client: httpx.Client) -> dict[str, str]:
    """Return the headers of the guard's cookie; over TLS, Django wants to know the page, too."""
    if routes.csrf is None:
        return {}
    return {routes.csrf.header: Secret(client.cookies[routes.csrf.cookie]), "Referer": str(client.base_url)}


def _with_token(routes: UserRoutes, response: httpx.Response, answer: Mapping[str, Any] | None) -> Login:
    if answer is None or response.is_error:
        raise refusal("login", routes.login, response)
    token = value_at(answer, routes.token)
    if not isinstance(token, str) or not token:
        raise UserError("login", f"answered {response.status_code} at {routes.login} without {routes.token!r}")
    MASKER.add_all([token, answer.get("refresh_token")])
    return Login(answer, bearer(token), Secret(token))


def json_object(response: httpx.Response) -> dict[str, Any] | None:
    """Return an answer as a JSON object; `None` where it is none."""
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def refusal(step: str, path: str, response: httpx.Response) -> UserError:
    """Return the error of an answer that refuses, or is no JSON object."""
    excerpt = MASKER.mask(response.text[:200])
    return UserError(step, f"answered {response.status_code} at {path}: {excerpt}", response.status_code)
