"""A user's way through an environment: sign-up, requests, the life of a token, a WebSocket; all of it removed again."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from envmatrix.environments import Environment, ServiceSpec
from envmatrix.masking import Secret
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.forgery import FORGERIES
from envmatrix.services.health.checks import CheckError, DifferenceError, NotTriedError, tried
from envmatrix.services.health.status import Check
from envmatrix.services.probes.access import ask_protected
from envmatrix.services.probes.exchanges import REFUSALS
from envmatrix.services.users import Target, User, Users

_PATIENCE = 5.0
"""Seconds past its lifetime until a token must be refused: clocks differ, and some allow a little leeway."""
_PAUSE = 0.05

Protected = Mapping[str, tuple[ServiceSpec, Endpoint]]
"""The services that are up and declare a protected path."""


def user_checks(environment: Environment, endpoints: Mapping[str, Endpoint]) -> Iterator[Check]:
    """Yield whether a user can be made and what its token opens; nothing where the environment makes none."""
    if (target := Target.of(environment, endpoints)) is None:
        return
    service = target.routes.service
    protected = {
        name: (spec, endpoints[name])
        for name, spec in environment.services.items()
        if spec.protected and name in endpoints
    }
    users = Users(target, f"health-{secrets.token_hex(3)}")
    made: list[User] = []

    def sign_up() -> str:
        made.append(users("health"))
        return ""

    yield tried(service, "sign-up and login", sign_up)
    trials: Mapping[str, Callable[[User], str]] = {
        "authenticated request": lambda user: _demand(protected, user.headers, frozenset({200})),
        "no token": lambda _: _demand(protected, None, REFUSALS),
        "forged token": lambda user: _forged(protected, user),
        "expired token": lambda user: _expired(protected, users, user),
        "revoked token": lambda user: _revoked(protected, users, user),
    }
    for user in made:
        for name, trial in (trials if protected else {}).items():
            yield tried(service, name, partial(trial, user))
        if target.websocket_url is not None:
            yield tried(target.api.service, "WebSocket round trip", partial(asyncio.run, _round_trip(user)))
    yield tried(service, "removal of the user", lambda: _remove(users))


def _demand(protected: Protected, headers: Mapping[str, str] | None, expected: frozenset[int]) -> str:
    """Request each protected path with what proves who asks, or with nothing."""
    answers = [ask_protected(spec, endpoint, headers) for spec, endpoint in protected.values()]
    if wrong := [str(answer) for answer in answers if answer.status not in expected]:
        raise CheckError("; ".join(wrong))
    return "; ".join(map(str, answers))


def _forged(protected: Protected, user: User) -> str:
    for name, forge in FORGERIES.items():
        try:
            _demand(protected, {"Authorization": Secret(f"Bearer {forge(user.token)}".rstrip())}, REFUSALS)
        except (ValueError, KeyError):
            raise NotTriedError("the token is no JWT that ends") from None
        except CheckError as error:
            raise CheckError(f"{name}: {error}") from None
    return f"{len(FORGERIES)} forgeries refused"


def _expired(protected: Protected, users: Users, user: User) -> str:
    if (parameter := user.target.routes.lifetime_parameter) is None:
        raise NotTriedError("[users] declares no lifetime_parameter")
    expiring, began = users.again(user, **{parameter: 1}), time.monotonic()
    return _demand_soon(protected, expiring, began + 1 + _PATIENCE)


def _revoked(protected: Protected, users: Users, user: User) -> str:
    if (path := user.target.routes.logout) is None:
        raise NotTriedError("[users] declares no logout")
    leaving = users.again(user)
    with leaving.auth_client() as client:
        answer = client.post(path, json={"refresh_token": leaving.refresh_token})
    if answer.is_error:
        raise CheckError(f"POST {path} answers {answer.status_code}")
    return _demand_soon(protected, leaving, time.monotonic() + _PATIENCE)


def _demand_soon(protected: Protected, user: User, until: float) -> str:
    """Request each protected path until all refuse the user."""
    while True:
        try:
            return _demand(protected, user.headers, REFUSALS)
        except CheckError:
            if time.monotonic() > until:
                raise
        time.sleep(_PAUSE)


async def _round_trip(user: User) -> str:
    async with user.websocket() as connection, asyncio.timeout(_PATIENCE):
        return f"ping answered after {1000 * await (await connection.ping()):.0f} ms"


def _remove(users: Users) -> str:
    if remaining := users.close(delete=True):
        raise DifferenceError(f"could not be deleted: {', '.join(remaining)}")
    return ""
