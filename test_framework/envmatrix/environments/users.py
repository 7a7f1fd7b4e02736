"""What the `[users]` table may say: how an environment makes users, or which it has, and how they log in."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from envmatrix.environments.auth import HeaderName
from envmatrix.environments.tables import Table, UrlPath


class Account(Table):
    """A `[[users.accounts]]` table: a user that is there already. It is handed out once in each test, and never removed."""

    email: str
    """What it logs in with: an address, or a name."""
    password: SecretStr
    """Its password."""
    role: str = ""
    """What `users("admin")` asks for."""
    tenant: str = ""
    """What `users(tenant="acme")` asks for; without that, users are of the first account's tenant."""


class Csrf(Table):
    """The `csrf` of `[users]`: a cookie whose value goes back in a header, as frameworks guard sessions."""

    cookie: HeaderName = "csrftoken"
    """The cookie that the login page sets."""
    header: HeaderName = "X-CSRFToken"
    """The header that its value goes back in."""


class UserRoutes(Table):
    """The `[users]` table: how the environment makes users. Paths are on the service named here."""

    service: str = "auth"
    """The service that makes users."""
    signup: UrlPath | None = None
    """POST {email, password} → 201, as JSON; without it, there are `accounts` alone."""
    login: UrlPath
    """POST {email, password} → {access_token, refresh_token?, user_id?}."""
    encoding: Literal["json", "form"] = "json"
    """How the login is sent."""
    fields: dict[Literal["email", "password"], str] = Field(default_factory=dict)
    """What the login calls the two: `{ email = "username" }`."""
    token: str = "access_token"  # noqa: S105  where it is, not what
    """Where the token is in the login's answer; `"data.token"` is a key of a table in it."""
    session: HeaderName | None = None
    """The cookie that a login sets in place of a token."""
    csrf: Csrf | None = None
    """What guards the session's requests; `{}` is Django's."""
    accounts: tuple[Account, ...] = ()
    """Users that are there already: the first that has the role, is of the tenant and is not in use is handed out. All workers
    share them."""
    refresh: UrlPath | None = None
    """POST {refresh_token} → {access_token, refresh_token}."""
    logout: UrlPath | None = None
    """POST {refresh_token}: the token is refused from then on."""
    me: UrlPath | None = None
    """GET → the user; DELETE removes it, with all it owns on that service."""
    delete: UrlPath | None = None
    """DELETE, on the service that clients talk to: removes all that the user made there. In a remote environment each user of
    ours does so in the end, before it is removed itself."""
    api_keys: UrlPath | None = None
    """POST → {api_key}."""
    api_key_header: str = "X-API-Key"
    """The header in which the backend takes an API key."""
    lifetime_parameter: str | None = None
    """Login field that asks for a token of so many seconds, so that a genuine expired token can be had."""
    audience_parameter: str | None = None
    """Login field that asks for a token for somebody else."""
    foreign_audience: str | None = None
    """An audience that the backend must refuse."""

    @model_validator(mode="after")
    def _there_are_users(self) -> Self:
        if self.signup is None and not self.accounts:
            raise ValueError("makes no users: it needs signup, or [[users.accounts]]")
        if self.csrf is not None and self.session is None:
            raise ValueError("csrf guards a session: name its cookie in session")
        if self.session is not None and "token" in self.model_fields_set:
            raise ValueError("a login gives a session or a token: declare one of them")
        return self
