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

from envmatrix.environments import Account, Environment, UserRoutes
from envmatrix.exceptions import NoAccountError, UserError
from envmatrix.masking import MASKER, Secret
from envmatrix.services import Endpoint
from envmatrix.services.endpoint import websocket_url
from envmatrix.services.kinds.http import new_async_client, new_client
from envmatrix.services.login import Login, json_object, log_in, refusal
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
    """The service that their clients talk to: the declared one, else the service that makes users."""
    websocket_url: str | None = None

    @classmethod
    def of(cls, environment: Environment, endpoints: Mapping[str, Endpoint]) -> Target | None:
        """Return the target among the services that are up; `None` where the environment makes no users, or cannot now."""
        routes = environment.users
        if routes is None or routes.service not in endpoints:
            return None
        signup = endpoints[routes.service]
        api = endpoints.get(environment.api, signup)
        url = websocket_url(environment.services[environment.api], api) if environment.api in endpoints else None
        return cls(routes, signup, api, url)


@dataclass(frozen=True)
class User:
    """One user: an identity, a token or a session, and clients that carry it."""

    id: str
    email: str
    password: str = field(repr=False)
    login: Login = field(repr=False)
    target: Target = field(repr=False)

    @property
    def token(self) -> str:
        """Return the token; empty where a session's cookie is the proof."""
        return self.login.token

    @property
    def refresh_token(self) -> str | None:
        """Return the token that renews; `None` where there is none."""
        return self.login.refresh_token

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that prove who asks."""
        return dict(self.login.headers)

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


_GONE = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})


class Users:
    """Makes users, a fresh one per call. Safe to use from several threads."""

    def __init__(self, target: Target, prefix: str) -> None:
        """Use `prefix` in every e-mail address: it names the run and the worker, so that no two collide."""
        self._target = target
        self._prefix = prefix
        self._lock = threading.Lock()
        self._made: list[User] = []
        self._in_use: set[str] = set()
        """Addresses of the ready-made accounts that the running test holds."""
        self._client = new_client(target.signup)

    @property
    def service(self) -> str:
        """Return the service that makes them."""
        return self._target.routes.service

    def __call__(self, name: str = "user", *, tenant: str = "") -> User:
        """Return a user of its own: a ready-made account whose role is `name`, else one that signs up, else any account.

        Raises:
            NoAccountError: there is no account left that fits.
            UserError: the environment refused; the error holds its answer.
            httpx.TransportError: the service could not be reached.
        """
        return self._make(name, name, tenant)

    def many(self, count: int, name: str = "user", *, tenant: str = "") -> list[User]:
        """Make several users at the same time."""
        with ThreadPoolExecutor(max_workers=max(count, 1)) as pool:
            return list(pool.map(lambda number: self._make(name, f"{name}{number}", tenant), range(count)))

    def _make(self, role: str, name: str, tenant: str) -> User:
        routes = self._target.routes
        if routes.signup is None or tenant or any(account.role == role for account in routes.accounts):
            account = self._take(role, tenant)
            return self._user(account.email, Secret(account.password.get_secret_value()), {})
        email = f"{name}-{self._prefix}-{secrets.token_hex(6)}@example.com"
        password = Secret(secrets.token_urlsafe(18))
        MASKER.add(password)
        user = self._user(email, password, self._post("signup", routes.signup, {"email": email, "password": password}))
        with self._lock:
            self._made.append(user)
        return user

    def _user(self, email: str, password: str, created: Mapping[str, Any]) -> User:
        login = self._log_in(email, password)
        known = (login.answer.get("user_id"), created.get("user_id"), created.get("id"), email)
        return User(str(next(filter(None, known))), email, password, login, self._target)

    def _take(self, role: str, tenant: str) -> Account:
        """Return an account that nobody holds: of the role, else of none, else the first that is declared."""
        accounts = self._target.routes.accounts
        there = [each for each in accounts if each.tenant == (tenant or accounts[0].tenant)]
        if any(each.role == role for each in there):
            there = [each for each in there if each.role == role]
        with self._lock:
            free = sorted((each for each in there if each.email not in self._in_use), key=lambda each: bool(each.role))
            if not free:
                of_tenant = f" of the tenant {tenant!r}" if tenant else ""
                what = f"for {role!r}{of_tenant}: {len(there)} of {len(accounts)} fit, and a test holds each once"
                raise NoAccountError("no account is left", what)
            self._in_use.add(free[0].email)
        return free[0]

    def release(self, kept: User | None) -> None:
        """Take back the ready-made accounts that a test held, but the one of a user that goes on."""
        with self._lock:
            self._in_use = {kept.email} if kept else set()

    def login(self, email: str, password: str, **more: object) -> Mapping[str, Any]:
        """Log in, and return the service's answer; `more` are further fields of the request.

        Raises:
            UserError: the environment refused.
        """
        return self._log_in(email, password, **more).answer

    def _log_in(self, email: str, password: str, **more: object) -> Login:
        return log_in(self._target.routes, self._target.signup, {"email": email, "password": str(password), **more})

    def again(self, user: User, **more: object) -> User:
        """Log a user in again, and return it with the new token or session."""
        return replace(user, login=self._log_in(user.email, user.password, **more))

    def token_for(self, user: User, **more: object) -> str:
        """Log a user in again, and return the new token."""
        return self.again(user, **more).token

    def api_key_for(self, user: User) -> str | None:
        """Return a new API key of a user; `None` where the environment has no keys."""
        if self._target.routes.api_keys is None:
            return None
        path = self._target.routes.api_keys
        key = self._post("api_keys", path, {}, headers=user.headers).get("api_key")
        if not isinstance(key, str):
            raise UserError("api_keys", f"answered at {path} without 'api_key'")
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
                response = client.delete(path, headers=self.again(user).headers)
            except UserError as refused:  # a test of its own has deleted it
                return refused.status in {httpx.codes.UNAUTHORIZED, *_GONE}
        return response.is_success or response.status_code in _GONE

    def _post(
        self, step: str, path: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        response = self._client.post(path, json=body, headers=headers)
        answer = json_object(response)
        if response.is_error or answer is None:
            raise refusal(step, path, response)
        return answer
