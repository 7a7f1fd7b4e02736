"""Requests and answers of the auth service's routes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr, StringConstraints

from environments.reference.text import STORABLE, Text

Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$"),
    STORABLE,
]


class Signup(BaseModel):
    """A new user."""

    email: Email
    password: Annotated[SecretStr, Field(min_length=8, max_length=256)]
    name: Annotated[Text, Field(max_length=200)] = ""


class User(BaseModel):
    """A user, as anyone may see themselves."""

    user_id: str
    email: str
    name: str = ""


class Login(BaseModel):
    """Credentials, and what kind of token is wanted."""

    email: Email
    password: Annotated[SecretStr, Field(max_length=256)]
    expires_in: Annotated[int, Field(ge=1)] | None = None
    """Seconds; capped at the service's own lifetime."""
    audience: str | None = None


class Refresh(BaseModel):
    """The refresh token to trade in."""

    refresh_token: SecretStr


class TokenPair(BaseModel):
    """A session's tokens. The refresh token works once."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  the scheme's name
    expires_in: int
    user_id: str


class Introspect(BaseModel):
    """A token whose session may have ended."""

    token: SecretStr


class Introspection(BaseModel):
    """Whether the token is still valid, and its user."""

    active: bool
    user_id: str | None = None


class NewApiKey(BaseModel):
    """A request for an API key."""

    name: Annotated[Text, Field(max_length=200)] = ""


class ApiKeyInfo(BaseModel):
    """An API key without its secret."""

    key_id: str
    name: str = ""


class ApiKeySecret(ApiKeyInfo):
    """An API key, shown this one time."""

    api_key: str


class ApiKey(BaseModel):
    """An API key to verify."""

    api_key: SecretStr


class ApiKeyOwner(BaseModel):
    """The owner of an API key."""

    user_id: str
    key_id: str
