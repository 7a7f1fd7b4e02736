"""The users that one process makes: fresh ones, and the one whose token the fixtures hand out."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import sys
from functools import cached_property

import httpx
import pytest

from envmatrix.environments import Account
from envmatrix.exceptions import NoAccountError, UserError
from envmatrix.plugin.session import EnvironmentSession
from envmatrix.safety.unpatched import REAL
from envmatrix.services.users import Target, User, Users

_TOKEN_MARGIN = 30.0
"""Seconds. A token with less left than this is renewed before the next test gets it."""


_PATIENCE = 10.0
"""A sign-up that failed for a fault is not tried again for ten times as long as it took."""


class _SkippingUsers(Users):
    """Skips a test that asks for an account that nobody has declared: it says nothing about the product."""

    def _take(self, role: str, tenant: str) -> Account:
        try:
            return super()._take(role, tenant)
        except NoAccountError as error:
            pytest.skip(str(error))


class SessionUsers:
    """The users of one process; none is made before the first test that needs one."""

    def __init__(self, session: EnvironmentSession, worker: str) -> None:
        self._session = session
        self._worker = worker
        self._factory: Users | None = None
        self.current: User | None = None
        """The default user, once one was made."""
        self._made_at = 0.0
        self._due_at = 0.0
        """When to try again to make a default user that a fault has kept from being made."""

    @property
    def target(self) -> Target | None:
        """Return where users come from; `None` where the environment makes none."""
        return Target.of(self._session.environment, self._session.endpoints)

    @property
    def factory(self) -> Users | None:
        """Return the maker of fresh users; `None` where the environment makes none."""
        if self._factory is None and (target := self.target) is not None:
            self._factory = _SkippingUsers(target, f"{secrets.token_hex(3)}-{self._worker}")
        return self._factory

    def default(self) -> User | None:
        """Return the user whose token the fixtures hand out, the token renewed before it expires."""
        if (factory := self.factory) is None:
            return None
        factory.release(self.current)
        if self.current is not None and self._session.crashes_since(self._session.endpoints, self._made_at):
            self.forget()  # the product may have kept its users in memory
        if self.current is None:
            self.current = self._make(factory)
        elif _seconds_left(self.current.token) < _TOKEN_MARGIN:
            self.current = factory.again(self.current)
        return self.current

    def _make(self, factory: Users) -> User | None:
        """Make the default user; `None` where a fault keeps it from being made: a test that needs one finds out by itself."""
        self._made_at = REAL.clock()
        if self._made_at < self._due_at:
            return None
        try:
            return factory("default")
        except (UserError, httpx.TransportError):
            if not self._session.environment.is_degraded(factory.service):
                raise
            now = REAL.clock()
            self._due_at = now + _PATIENCE * (now - self._made_at)
            return None

    @cached_property
    def default_api_key(self) -> str | None:
        """Return the default user's API key; `None` where the environment has no keys."""
        user, factory = self.default(), self.factory
        return factory.api_key_for(user) if user and factory else None

    def forget(self) -> None:
        """Make a new default user for the next test."""
        self.current = None
        self.__dict__.pop("default_api_key", None)

    def renew_token(self) -> None:
        """Renew the default user's token after it was refused; if that fails, it stays refused."""
        try:
            if self.current is not None and self.factory is not None:
                self.current = self.factory.again(self.current)
        except (UserError, httpx.TransportError):
            pass  # the next request is refused, too, and evidence enough

    def close(self) -> None:
        """Delete the users that were made in a deployment that is not ours."""
        if self._factory is None or (target := self.target) is None:
            return
        environment = self._session.environment
        remaining = self._factory.close(delete=environment.services[target.routes.service].outlives_run)
        if remaining:
            sys.stderr.write(
                f"envmatrix: these users, or what they made, could not be deleted in {environment.label}: {', '.join(remaining)}\n"
            )


def _seconds_left(token: str) -> float:
    """Return the seconds until a JWT expires; infinite where it does not say. Nothing is verified here."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) - REAL.date()
    except (IndexError, KeyError, ValueError, TypeError, binascii.Error):
        return float("inf")
