"""Connections through each server's own client library: for checks that use a store as a product would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from envmatrix.services.endpoint import Endpoint

if TYPE_CHECKING:
    import psycopg
    import redis
    from clickhouse_connect.driver.client import Client as ClickHouse

SECONDS = 5
"""Timeout of a connection and of each answer."""


@contextmanager
def postgres(endpoint: Endpoint) -> Iterator[psycopg.Connection[Any]]:
    """Connect with psycopg."""
    import psycopg

    options: dict[str, Any] = {"sslrootcert": endpoint.ca_file, "sslmode": "verify-full"} if endpoint.ca_file else {}
    url = endpoint.url.get_secret_value()
    with psycopg.connect(url, autocommit=True, connect_timeout=SECONDS, **options) as connection:
        yield connection


@contextmanager
def redis_client(endpoint: Endpoint) -> Iterator[redis.Redis]:
    """Connect with redis-py."""
    import redis

    options: dict[str, Any] = {"ssl_ca_certs": endpoint.ca_file} if endpoint.ca_file else {}
    url = endpoint.url.get_secret_value()
    with redis.Redis.from_url(url, socket_timeout=SECONDS, decode_responses=True, **options) as client:
        yield client


@contextmanager
def clickhouse(endpoint: Endpoint) -> Iterator[ClickHouse]:
    """Connect with clickhouse-connect."""
    import clickhouse_connect

    client = clickhouse_connect.get_client(
        host=endpoint.host,
        port=endpoint.port,
        username=endpoint.user,
        password=endpoint.password.get_secret_value(),
        database=endpoint.database,
        secure=endpoint.url.get_secret_value().startswith("https"),
        ca_cert=endpoint.ca_file or None,
        connect_timeout=SECONDS,
        send_receive_timeout=SECONDS,
    )
    try:
        yield client
    finally:
        client.close()
