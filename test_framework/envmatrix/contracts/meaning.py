"""What a contract field means: which service it is about, and what must be true of its value."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Role(enum.Enum):
    """What the value of a field says about its service."""

    PLAIN = enum.auto()
    """Nothing that can be checked; to read it is to use the service, if there is one."""
    ENVIRONMENT = enum.auto()
    """The selected environment's name."""
    VERSION = enum.auto()
    """The contract's version."""
    AVAILABLE = enum.auto()
    """Whether a ping sees the service up."""
    REAL = enum.auto()
    """Whether the service is up and no stand-in."""
    REQUIRED = enum.auto()
    """Whether the declaration requires the service."""
    URL = enum.auto()
    """An absolute URL of the service, of any scheme."""
    HTTP_URL = enum.auto()
    """The http(s) URL of the service."""
    API_URL = enum.auto()
    """The http(s) URL of the service's API."""
    WEBSOCKET_URL = enum.auto()
    """The ws(s) URL of the service."""
    ENDPOINT = enum.auto()
    """Connection details of the service."""
    CLIENT = enum.auto()
    """A client of the backend, or where there is none of the service that makes users."""
    USER = enum.auto()
    """What a user holds: made by the service that makes users, taken by the backend."""

    @property
    def is_flag(self) -> bool:
        """Return whether reading the field tells about the service without using it."""
        return self in {Role.AVAILABLE, Role.REQUIRED}

    @property
    def is_url(self) -> bool:
        """Return whether the value is a URL of the service."""
        return self in {Role.URL, Role.HTTP_URL, Role.API_URL, Role.WEBSOCKET_URL}

    @property
    def schemes(self) -> tuple[str, ...]:
        """Return the schemes that the URL may have; none where any will do."""
        if self is Role.WEBSOCKET_URL:
            return ("ws", "wss")
        return ("http", "https") if self.is_url and self is not Role.URL else ()


@dataclass(frozen=True, slots=True)
class Meaning:
    """The metadata of a contract field: `Annotated[bool, Meaning(Role.AVAILABLE, "redis", "Equals what a ping sees.")]`."""

    role: Role = Role.PLAIN
    service: str = ""
    """The service that the field is about; empty where it is about none."""
    truth: str = ""
    """What must be true of the value, in one sentence for the reference."""
    capability: str = ""
    """What a test that reads the field exercises besides the service."""


_SUFFIXES = {"_available": Role.AVAILABLE, "_required": Role.REQUIRED, "_url": Role.URL}


def meaning_by_name(field: str, *, is_endpoint: bool) -> Meaning:
    """Return the meaning of a field that a project added without metadata: `kafka_url` is a URL of `kafka`."""
    for suffix, role in _SUFFIXES.items():
        if field.endswith(suffix):
            return Meaning(role, field.removesuffix(suffix))
    return Meaning(Role.ENDPOINT if is_endpoint else Role.PLAIN, field)
