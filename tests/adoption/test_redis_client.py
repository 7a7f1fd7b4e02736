"""A client library: its suite takes `--redis-url`, and is to hold against three servers."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.rules import RuleCode
from tests.adoption.adopted import Adopted

THIRD = """
    extends = "local.toml"
    [services.redis]
    source = "process"
    command = ["redis-server", "--port", "{redis.port}", "--save", ""]
"""
HARDENED = THIRD.replace('""]', '"", "--rename-command", "EVAL", "hidden"]')


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_a_client_librarys_suite_is_held_against_three_servers(adopt: Callable[[str], Adopted]) -> None:
    """Valkey in two protocols, and a Redis on which a command is hidden later: that alone is incompatible."""
    project = adopt("redis_client")
    project.by_hand(
        "resp3",
        """
        extends = "local.toml"
        [pytest]
        args = ["--redis-url={redis.url}", "--protocol=3"]
        """,
    )
    project.by_hand("redis", THIRD)
    project.holds(local=7, resp3=7, redis=7)

    project.by_hand("redis", HARDENED)
    logic = (Outcome.FAILED, Cause.LOGIC, RuleCode.FAILED_ON_HEALTHY)
    assert project.breaks() == {
        ("redis", "tests/test_scripting.py::test_eval"): logic,
        ("redis", "tests/test_scripting.py::test_an_error_in_a_script_is_raised"): logic,
    }
