"""The health of environments in every format."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from envmatrix.report.health import FORMATS, reporter
from envmatrix.report.health.terminal import parts
from envmatrix.services.health import EnvironmentHealth, HealthStatus, ServiceHealth

HOSTILE = "\x1b[31m::error::<script>`|\u202e\ud800\n"


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("name", FORMATS)
def test_what_a_service_says_is_only_read(name: str) -> None:
    """Its version, identity and reason move no cursor, end no table cell and command no CI log."""
    service = ServiceHealth(
        "backend", "http", "remote", required=True, status=HealthStatus.DOWN, reason=HOSTILE, version=HOSTILE
    )
    text = reporter(name)([EnvironmentHealth("shop", "shop", (service,)), EnvironmentHealth("x", "x", (), HOSTILE)])
    for word in ("\x1b", "\u202e", "\ud800"):
        assert word not in text
    assert not any(line.startswith("::error::") for line in text.splitlines())
    if name == "markdown":
        assert all(line.count("|") == 7 for line in text.splitlines() if line.startswith("|"))


@pytest.mark.parametrize("name", FORMATS)
def test_why_nothing_was_seen_is_told(name: str) -> None:
    """An environment that could not be started is unknown, with the reason."""
    text = reporter(name)([EnvironmentHealth("shop", "shop (twin)", (), "the supervisor ended")])
    assert "the supervisor ended" in text
    assert "unknown" in text


def test_json_has_the_worst_of_all() -> None:
    """One status and exit code of all environments."""
    well = ServiceHealth("a", "http", "remote", required=True, status=HealthStatus.OK)
    document = json.loads(
        reporter("json")([EnvironmentHealth("x", "x", (well,)), EnvironmentHealth("y", "y", (), "no")])
    )
    assert (document["status"], document["exit_code"]) == ("unknown", 3)
    assert [each["status"] for each in document["environments"]] == ["ok", "unknown"]


@pytest.mark.fault("tls-bad-cert")
def test_what_is_not_verified_is_red() -> None:
    """On a terminal; every other format has the word."""
    service = ServiceHealth("backend", "http", "remote, unverified", required=True, status=HealthStatus.OK)
    console = Console(force_terminal=True, width=120, color_system="standard", file=io.StringIO())
    console.print(*parts(EnvironmentHealth("shop", "shop", (service,))))
    assert "\x1b[1;31mremote, unverified" in console.file.getvalue()
    assert "remote, unverified" in reporter("markdown")([EnvironmentHealth("shop", "shop", (service,))])
