"""Asks the protected paths of services with the token that the fixtures hand out."""

from __future__ import annotations

from collections.abc import Iterable

from envmatrix.plugin.session import EnvironmentSession
from envmatrix.plugin.users import SessionUsers
from envmatrix.services.probes.access import Access


class ProtectedPaths:
    """The protected paths of an environment's services: a health path is a service's own word, this is its work."""

    def __init__(self, session: EnvironmentSession, users: SessionUsers) -> None:
        self._session = session
        self._users = users

    def ask(self, names: Iterable[str], foreign: str | None = None) -> tuple[Access, ...]:
        """Ask the protected path of each service among some that has one and is up.

        A refused token is renewed, once; but not one that is `foreign`, of a fixture that is not ours.
        """
        ready = [name for name in sorted(names) if self._is_ready(name)]
        user = self._users.current
        own = user.headers if user else {}
        headers = {"Authorization": f"Bearer {str.__str__(foreign)}"} if foreign else own
        answers = tuple(self._session.ask_protected(name, headers) for name in ready)
        if user is not None and headers == own and any(access.is_refused for access in answers):
            self._users.renew_token()
        return answers

    def ask_renewed(self, names: Iterable[str]) -> tuple[Access, ...]:
        """Ask as the default user; where its token was refused, once more with the renewed one."""
        if any(map(self._is_ready, names)):
            self._users.default()
        answers = self.ask(names)
        return self.ask(names) if any(access.is_refused for access in answers) else answers

    def _is_ready(self, name: str) -> bool:
        ping = self._session.last_pings([name]).get(name)
        is_up = name in self._session.endpoints and ping is not None and ping.is_up
        return is_up and bool(self._session.environment.services[name].protected)
