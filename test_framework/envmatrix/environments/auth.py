"""What the `auth` of a service may say: how each request proves who asks. Secrets come from variables."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from envmatrix.environments.tables import Table


def _one_line(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or not text.isprintable() or text != text.strip():
        raise ValueError(
            "is empty, or has a line break, a space at an end or another character that no header can carry"
        )
    return value


HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
HeaderValue = Annotated[SecretStr, AfterValidator(_one_line)]
TokenUrl = Annotated[str, Field(pattern=r"^(/|https?://)")]


class BasicAuth(Table):
    """`type = "basic"`: a name and a password with each request."""

    type: Literal["basic"]
    username: str
    """The name."""
    password: SecretStr
    """The password."""

    @property
    def credentials(self) -> str:
        """Return the two as a header carries them. Secret."""
        return b64encode(f"{self.username}:{self.password.get_secret_value()}".encode()).decode()


class BearerAuth(Table):
    """`type = "bearer"`: a token that somebody else has made."""

    type: Literal["bearer"]
    token: HeaderValue
    """The token."""


class ApiKeyAuth(Table):
    """`type = "api-key"`: a key in a header."""

    type: Literal["api-key"]
    key: HeaderValue
    """The key."""
    header: HeaderName = "X-API-Key"
    """The header that carries it."""


class CookieAuth(Table):
    """`type = "cookie"`: a cookie that somebody else has made."""

    type: Literal["cookie"]
    cookie: HeaderName
    """Its name."""
    value: HeaderValue
    """Its value."""


class PasswordAuth(Table):
    """`type = "oauth2-password"`: a token for a name and a password, renewed once where it is refused."""

    type: Literal["oauth2-password"]
    token_url: TokenUrl
    """Where tokens are made: a path of the service, or another URL."""
    username: str
    """Whose token it is."""
    password: SecretStr
    """The password."""
    client_id: str = ""
    """The program that asks, where the service wants to know."""
    client_secret: SecretStr | None = None
    """Its secret, if it has one: sent as HTTP basic."""
    scope: str = ""
    """What the token is to allow, names with spaces between."""


class ClientCredentialsAuth(Table):
    """`type = "oauth2-client-credentials"`: a token for a program, renewed once where it is refused."""

    type: Literal["oauth2-client-credentials"]
    token_url: TokenUrl
    """Where tokens are made: a path of the service, or another URL."""
    client_id: str
    """The program that asks."""
    client_secret: SecretStr
    """Its secret: sent as HTTP basic."""
    scope: str = ""
    """What the token is to allow, names with spaces between."""


class CommandAuth(Table):
    """`type = "command"`: a command prints the token, and is run again where it is refused."""

    type: Literal["command"]
    command: Annotated[tuple[str, ...], Field(min_length=1)]
    """What to run. Its words can be read by everybody on the machine: a secret reaches it by a variable of its environment."""


Auth = Annotated[
    BasicAuth | BearerAuth | ApiKeyAuth | CookieAuth | PasswordAuth | ClientCredentialsAuth | CommandAuth,
    Field(discriminator="type"),
]


def secrets_of(auth: Auth) -> Iterator[str]:
    """Yield the secrets of an `auth`."""
    for name in type(auth).model_fields:
        if isinstance(value := getattr(auth, name), SecretStr):
            yield value.get_secret_value()
    if isinstance(auth, BasicAuth):
        yield auth.credentials
