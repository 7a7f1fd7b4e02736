"""Fresh users, made through the environment's own sign-up, so that no two tests share one."""

from __future__ import annotations

import secrets
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx

from envmatrix.environments import Environment, UserRoutes
from envmatrix.exceptions import UserError
from envmatrix.masking import MASKER, Secret
from envmatrix.services import Endpoint
from envmatrix.services.endpoint import websocket_url
from envmatrix.services.kinds.http import new_async_client, new_client
from envmatrix.services.probes.tls import client_context

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


@dataclass(frozen=True)
class Target:
    """The services that make users and accept their tokens."""

    routes: UserRoutes
    signup: Endpoint
    """The service that makes users."""
    api: Endpoint
    """The service that their clients talk to: the backend, else the service that makes users."""
    websocket_url: str | None = None

    @classmethod
    def of(cls, environment: Environment, endpoints: Mapping[str, Endpoint]) -> Target | None:
        """Return the target among the services that are up; `None` where the environment makes no users, or cannot now."""
        routes = environment.users
        if routes is None or routes.service not in endpoints:
            return None
        signup = endpoints[routes.service]
        api = endpoints.get("backend", signup)
        backend = environment.services.get("backend")
        url = websocket_url(backend, api) if backend and "backend" in endpoints else None
        return cls(routes, signup, api, url)


@dataclass(frozen=True)
class User:
    """One user: an identity, a token, and clients that carry it."""

    id: str
    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    target: Target = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """Return the header that carries the token."""
        return {"Authorization": Secret(f"Bearer {self.token}")}

    def client(self, **options: Any) -> httpx.Client:
        """Return a new sync client of the API with this user's token; the caller closes it."""
        return new_client(self.target.api, headers=self.headers, **options)

    def async_client(self, **options: Any) -> httpx.AsyncClient:
        """Return a new async client of the API with this user's token; it belongs to the loop that uses it."""
        return new_async_client(self.target.api, headers=self.headers, **options)

    def auth_client(self, **options: Any) -> httpx.Client:
        """Return a new sync client of the service that makes users, with this user's token."""
        return new_client(self.target.signup, headers=self.headers, **options)

    @asynccontextmanager
    async def websocket(self, deadline: float = 10.0) -> AsyncIterator[ClientConnection]:
        """Open an authenticated WebSocket, and close it at the end; `deadline` in seconds for the handshake.

        Raises:
            UserError: the environment has no WebSocket.
        """
        from envmatrix.services.websocket import open_websocket

        url = self.target.websocket_url
        if url is None:
            raise UserError("websocket", "is not declared in this environment")
        tls = client_context(self.target.api) if url.startswith("wss") else None
        options = {"additional_headers": self.headers, "ssl": tls, "open_timeout": deadline, "close_timeout": deadline}
        async with open_websocket(url, **options) as connection:
            yield connection


_ANSWER_FIELDS = {"login": "access_token", "api_keys": "api_key"}
"""The field that the answer to each step must have."""


_GONE = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})


class Users:
    """Makes users, a fresh one per call. Safe to use from several threads."""

    def __init__(self, target: Target, prefix: str) -> None:
        """Use `prefix` in every e-mail address: it names the run and the worker, so that no two collide."""
        self._target = target
        self._prefix = prefix
        self._lock = threading.Lock()
        self._made: list[User] = []
        self._client = new_client(target.signup)

    @property
    def service(self) -> str:
        """Return the service that makes them."""
        return self._target.routes.service

    def __call__(self, name: str = "user") -> User:
        """Sign up and log in a user.

        Raises:
            UserError: the environment refused; the error holds its answer.
            httpx.TransportError: the service could not be reached.
        """
        email = f"{name}-{self._prefix}-{secrets.token_hex(6)}@example.com"
        password = Secret(secrets.token_urlsafe(18))
        MASKER.add(password)
        body = {"email": email, "password": str(password)}
        created = self._post("signup", self._target.routes.signup, body)
        login = self.login(email, password)
        refresh = login.get("refresh_token")
        user = User(
            id=str(login.get("user_id") or created.get("user_id") or created.get("id") or email),
            email=email,
            password=password,
            token=Secret(login["access_token"]),
            refresh_token=Secret(refresh) if refresh else None,
            target=self._target,
        )
        with self._lock:
            self._made.append(user)
        return user

    def many(self, count: int, name: str = "user") -> list[User]:
        """Make several users at the same time."""
        with ThreadPoolExecutor(max_workers=max(count, 1)) as pool:
            return list(pool.map(lambda number: self(f"{name}{number}"), range(count)))

    def login(self, email: str, password: str, **more: object) -> Mapping[str, Any]:
        """Log in, and return the service's answer; `more` are further fields of the request.

        Raises:
            UserError: the environment refused.
        """
        answer = self._post("login", self._target.routes.login, {"email": email, "password": str(password), **more})
        MASKER.add_all([answer.get("access_token"), answer.get("refresh_token")])
        return answer

    def token_for(self, user: User, **more: object) -> str:
        """Log a user in again, and return the new token."""
        return Secret(self.login(user.email, user.password, **more)["access_token"])

    def api_key_for(self, user: User) -> str | None:
        """Return a new API key of a user; `None` where the environment has no keys."""
        if self._target.routes.api_keys is None:
            return None
        key = self._post("api_keys", self._target.routes.api_keys, {}, headers=user.headers)["api_key"]
        MASKER.add(key)
        return Secret(key)

    def close(self, *, delete: bool) -> tuple[str, ...]:
        """Close the client; with `delete`, first delete all users and what they made; return the ids of those that stayed."""
        users = self._made if delete else []
        remaining: list[str] = []
        with closing(self._client):
            for number, user in enumerate(users):
                try:
                    if not self._delete(user):
                        remaining.append(user.id)
                except httpx.TransportError:  # the others would each wait as long for the same
                    return (*remaining, *(each.id for each in users[number:]))
        return tuple(remaining)

    def _delete(self, user: User) -> bool:
        """Remove what a user made and the user; return whether both are gone."""
        routes, gone = self._target.routes, True
        if routes.delete is not None:
            with new_client(self._target.api) as api:
                gone = self._deleted(api, routes.delete, user)
        return routes.me is not None and self._deleted(self._client, routes.me, user) and gone

    def _deleted(self, client: httpx.Client, path: str, user: User) -> bool:
        """Send a DELETE as a user; return whether nothing is there any more. Its token may have expired since it was made."""
        response = client.delete(path, headers=user.headers)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            try:
                response = client.delete(path, headers=replace(user, token=self.token_for(user)).headers)
            except UserError as refused:  # a test of its own has deleted it
                return refused.status in {httpx.codes.UNAUTHORIZED, *_GONE}
        return response.is_success or response.status_code in _GONE

    def _post(
        self, step: str, path: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        response = self._client.post(path, json=body, headers=headers)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.is_error or not isinstance(answer, dict):
            excerpt = MASKER.mask(response.text[:200])
            raise UserError(step, f"answered {response.status_code} at {path}: {excerpt}", response.status_code)
        if step != "signup" and not isinstance(answer.get(_ANSWER_FIELDS[step]), str):
            raise UserError(step, f"answered {response.status_code} at {path} without {_ANSWER_FIELDS[step]!r}")
        return answer
