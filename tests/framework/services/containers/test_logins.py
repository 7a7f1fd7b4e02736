"""The login of a server in a container is what its image was told to make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from envmatrix.services.containers.container import Container
from envmatrix.services.containers.logins import with_login
from tests.framework.services.containers.test_container import inspected


@pytest.mark.parametrize(
    ("kind", "url", "variables", "login"),
    [
        (
            "postgres",
            "postgresql://postgres@h:1/postgres",
            {"POSTGRES_USER": "shop", "POSTGRES_PASSWORD": "p@/:", "POSTGRES_DB": "orders"},
            "postgresql://shop:p%40%2F%3A@h:1/orders",
        ),
        ("postgres", "postgresql://postgres@h:1/postgres", {"POSTGRES_USER": "u"}, "postgresql://u@h:1/u"),
        (
            "postgres",
            "postgresql://postgres@h:1/postgres",
            {"POSTGRES_PASSWORD": "p"},
            "postgresql://postgres:p@h:1/postgres",
        ),
        (
            "mysql",
            "mysql://h:1",
            {"MARIADB_USER": "u", "MARIADB_PASSWORD": "p", "MARIADB_DATABASE": "d"},
            "mysql://u:p@h:1/d",
        ),
        ("mysql", "mysql://root@h:1", {"MYSQL_ROOT_PASSWORD": "p"}, "mysql://root:p@h:1"),
        (
            "amqp",
            "amqp://h:1",
            {"RABBITMQ_DEFAULT_USER": "u", "RABBITMQ_DEFAULT_PASS": "p", "RABBITMQ_DEFAULT_VHOST": "/shop"},
            "amqp://u:p@h:1/%2Fshop",
        ),
        ("redis", "redis://h:1/0", {"REDIS_PASSWORD": "p"}, "redis://:p@h:1/0"),
        ("clickhouse", "http://h:1", {"CLICKHOUSE_USER": "u", "CLICKHOUSE_PASSWORD": "p"}, "http://u:p@h:1"),
        ("http", "http://h:1", {"POSTGRES_PASSWORD": "p"}, "http://h:1"),
    ],
)
def test_the_variables_of_the_well_known_images_are_the_login(
    kind: str, url: str, variables: dict[str, str], login: str
) -> None:
    """What is not set stays as the kind has it."""
    container = replace(Container.read(inspected()), variables=variables)
    assert with_login(url, kind, container) == login


@pytest.mark.parametrize(
    "arguments", [("redis-server", "--requirepass", "p"), ("sh", "-c", "redis-server --requirepass 'p'")]
)
def test_a_password_in_the_arguments_of_redis_is_its_login(arguments: tuple[str, ...]) -> None:
    """So do most Compose files set it."""
    container = replace(Container.read(inspected()), arguments=arguments)
    assert with_login("redis://h:1/0", "redis", container) == "redis://:p@h:1/0"
