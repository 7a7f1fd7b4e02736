"""Variants of an environment: how they are declared and named, what must work in them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from envmatrix.exceptions import DeclarationError, UnknownEnvironmentError
from tests.framework.environments.declare import declare, load, refusal

SERVICES = """
[services.database]
kind = "postgres"
source = "embedded"

[services.redis]
kind = "redis"
source = "embedded"

[services.far]
kind = "http"
source = "remote"
url = "http://example.com"

[services.seed]
kind = "job"
source = "process"
command = ["{python}"]

[services.auth]
kind = "http"
source = "process"
command = ["{python}"]
env = { DATABASE_URL = "{database.url}" }

[services.backend]
kind = "http"
source = "process"
command = ["{python}"]
websocket = "/ws"
env = { REDIS_URL = "{redis.url}", AUTH_URL = "{auth.url}" }
"""
REDIS_DOWN = """
[variants.redis_down]
services.redis.fault = "down"
survives = ["websocket"]
"""


def test_a_variant_is_the_environment_under_another_name(tmp_path: Path) -> None:
    """Its services know it by the name of the file, and what they are is what the file says."""
    declare(tmp_path, SERVICES + REDIS_DOWN)
    plain, variant = load(tmp_path), load(tmp_path, "local+redis_down")
    assert (variant.name, variant.label, variant.declared_name) == ("local+redis_down", "local+redis_down", "local")
    assert variant.services == plain.services
    assert (plain.variant, plain.declared_name) == (None, "local")
    assert variant.variant is not None
    assert variant.variant.services["redis"].is_outage


def test_what_must_work_is_what_no_fault_reaches_or_is_to_survive(tmp_path: Path) -> None:
    """The degraded service itself, and what needs it, need not work; unless it is promised, by capability or by service."""
    declare(tmp_path, SERVICES + REDIS_DOWN)
    variant = load(tmp_path, "local+redis_down")
    assert [name for name in variant.providers if not variant.must_work(name)] == ["redis", "backend"]
    declare(tmp_path, SERVICES + REDIS_DOWN.replace('"websocket"', '"backend"'))
    variant = load(tmp_path, "local+redis_down")
    assert [name for name in variant.providers if not variant.must_work(name)] == ["redis"]
    assert [name for name in variant.services if not variant.demands(name)] == ["redis", "backend"]
    assert all(map(load(tmp_path).demands, variant.services))


def test_any_service_can_be_down_without_a_table(tmp_path: Path) -> None:
    """`local+database.down` promises nothing of what needs the database, directly or not."""
    declare(tmp_path, SERVICES)
    variant = load(tmp_path, "local+database.down")
    assert [name for name in variant.services if variant.is_degraded(name)] == ["database", "auth", "backend"]


@pytest.mark.fault("typo-environment")
def test_an_unknown_variant_is_told_with_the_nearest(tmp_path: Path) -> None:
    """As an unknown environment is."""
    declare(tmp_path, SERVICES + REDIS_DOWN)
    with pytest.raises(UnknownEnvironmentError, match=r"Did you mean 'local\+redis_down'\?"):
        load(tmp_path, "local+redis_dwn")
    with pytest.raises(DeclarationError, match="'far': it is remote, and only what we start can be put behind a proxy"):
        load(tmp_path, "local+far.down")


def test_no_file_is_named_like_a_variant(tmp_path: Path) -> None:
    """`local+x` would be two things."""
    declare(tmp_path, SERVICES, "local+x")
    with pytest.raises(DeclarationError, match="its name is no name of an environment"):
        load(tmp_path, "local+x")


@pytest.mark.fault("unknown-key")
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('services.redis.fault = "dwn"', "variants.x.services.redis.fault"),
        ('services.redis = { fault = "down", latency = 2 }', "'latency' does nothing for fault = 'down'"),
        ('services.redis = { fault = "latency", latnecy = 2 }', "Did you mean 'latency'?"),
        ('survives = ["auth"]', "needs the key 'services'"),
        ("services = {}", "variants.x.services"),
        (
            'services.rediss.fault = "down"',
            "local+x degrades 'rediss', which is no service here. Did you mean 'redis'?",
        ),
        ('services.redis.fault = "http_error"', "only plain HTTP can be answered with http_error"),
        ('services.seed.fault = "down"', "it is of kind 'job', which serves nothing"),
        (
            'services.redis.fault = "down"\nsurvives = ["atuh"]',
            "'atuh', which is no capability here. Did you mean 'auth'?",
        ),
    ],
)
def test_a_wrong_variant_is_refused_with_its_line(tmp_path: Path, table: str, expected: str) -> None:
    """Whether it is selected or not."""
    line = refusal(tmp_path, f"{SERVICES}\n[variants.x]\n{table}\n")
    assert line.startswith("local.toml:")
    assert expected in line
