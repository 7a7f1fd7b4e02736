"""The values that every kind trades in."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from envmatrix.environments import REFERENCE_FIELDS, Source
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services import Endpoint

ENDPOINT = Endpoint(
    service="database",
    kind="postgres",
    source=Source.EMBEDDED,
    url=SecretStr("postgresql://me:hunter2hunter2@host:5432/shop"),
    host="host",
    port=5432,
    user="me",
    password=SecretStr("hunter2hunter2"),
    database="shop",
)


def test_fields_that_references_name():
    """Whatever a declaration may ask of an endpoint, it has; a state directory is the supervisor's to know."""
    assert {name: ENDPOINT.field(name) for name in REFERENCE_FIELDS - {"state_dir"}} == {
        "url": "postgresql://me:hunter2hunter2@host:5432/shop",
        "host": "host",
        "port": "5432",
        "user": "me",
        "password": "hunter2hunter2",
        "database": "shop",
        "cert_file": "",
        "key_file": "",
        "ca_file": "",
    }


@pytest.mark.fault("canary-secret")
def test_an_endpoint_shows_no_secret():
    """No repr, text or JSON of an endpoint has the password; only `field` does."""
    assert "hunter2" not in f"{ENDPOINT!r}{ENDPOINT}{ENDPOINT.model_dump_json()}"


def test_values_are_frozen_and_closed():
    """Values do not change, and a misspelt field is refused."""
    with pytest.raises(ValidationError, match="frozen"):
        ENDPOINT.port = 1
    with pytest.raises(TypeError, match="latncy"):
        Ping(service="database", status=PingStatus.UP, latncy=1.0)


@pytest.mark.parametrize("status", PingStatus)
def test_only_up_is_up(status):
    """A degraded service cannot be relied on, and an absent one is not up."""
    assert Ping(service="s", status=status).is_up is (status == "up")
