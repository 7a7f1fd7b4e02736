"""How to log in to the server in a container: what the variables of the well-known images say."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from envmatrix.services.containers.container import Container


@dataclass(frozen=True)
class _Names:
    """The variables of the images of one kind, each the first that is set."""

    user: tuple[str, ...] = ()
    password: tuple[str, ...] = ()
    database: tuple[str, ...] = ()


_NAMES = {
    "postgres": _Names(("POSTGRES_USER",), ("POSTGRES_PASSWORD",), ("POSTGRES_DB", "POSTGRES_USER")),
    "mysql": _Names(
        ("MYSQL_USER", "MARIADB_USER"),
        ("MYSQL_PASSWORD", "MARIADB_PASSWORD", "MYSQL_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD"),
        ("MYSQL_DATABASE", "MARIADB_DATABASE"),
    ),
    "amqp": _Names(("RABBITMQ_DEFAULT_USER",), ("RABBITMQ_DEFAULT_PASS",), ("RABBITMQ_DEFAULT_VHOST",)),
    "redis": _Names(password=("REDIS_PASSWORD", "VALKEY_PASSWORD")),
    "clickhouse": _Names(("CLICKHOUSE_USER",), ("CLICKHOUSE_PASSWORD",), ("CLICKHOUSE_DB",)),
}


def with_login(url: str, kind: str, container: Container) -> str:
    """Return the URL of a container's server with the user, password and database that its image was told to make."""
    names = _NAMES.get(kind, _Names())
    password = _first(names.password, container.variables)
    if kind == "redis":
        password = _redis_password(container.arguments) or password
    user, database = _first(names.user, container.variables), _first(names.database, container.variables)
    parts = urllib.parse.urlsplit(url)
    login = ":".join(
        map(_quoted, (user or parts.username or "", password) if password else (user or parts.username or "",))
    )
    place = parts.netloc.rpartition("@")[2]
    path = f"/{_quoted(database)}" if database else parts.path
    return parts._replace(netloc=f"{login}@{place}" if login else place, path=path).geturl()


def _first(names: Iterable[str], variables: Mapping[str, str]) -> str:
    return next((variables[name] for name in names if variables.get(name)), "")


def _redis_password(arguments: tuple[str, ...]) -> str:
    """Return the password of `redis-server --requirepass PASSWORD`."""
    words = [word for argument in arguments for word in argument.split()]  # also within: sh -c "redis-server …"
    return next((after for word, after in pairwise(words) if word == "--requirepass"), "").strip("\"'")


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
