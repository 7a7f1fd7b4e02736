"""Windows of maintenance: when they are, and what a declaration may say of them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from envmatrix.environments import Maintenance
from tests.framework.environments.declare import declare, load, refusal

SERVICE = '\n[services.a]\nkind = "http"\nsource = "remote"\nurl = "http://a"\n'


def at(text: str) -> datetime:
    """Return a time on a day of December 2026, in UTC: `05T22:00`."""
    return datetime.fromisoformat(f"2026-12-{text}:00Z")


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("12T21:59", None),
        ("12T22:00", "13T02:00"),
        ("13T01:59", "13T02:00"),
        ("13T02:00", None),
        ("19T21:59", None),
        ("19T23:00", "20T02:00"),
        ("20T02:00", None),
        ("26T23:30", "27T02:00"),
        ("05T23:00", None),
    ],
)
def test_a_weekly_window(moment: str, end: str | None) -> None:
    """From its start to its end, each week, and never before the first one."""
    window = Maintenance(start=at("12T22:00"), end=at("13T02:00"), every_days=7)
    assert window.end_at(at(moment)) == (at(end) if end else None)


def test_a_window_that_is_there_once() -> None:
    """Without a repetition the next week has none."""
    window = Maintenance(start=at("05T22:00"), end=at("06T02:00"))
    assert window.end_at(at("05T23:00")) == at("06T02:00")
    assert window.end_at(at("12T23:00")) is None


def test_a_declaration_has_windows(tmp_path: Path) -> None:
    """Times of TOML, with the zone that they are in."""
    head = '[[maintenance]]\nstart = 2026-12-05T22:00:00+01:00\nend = 2026-12-06T02:00:00+01:00\nreason = "upgrade"\n'
    declare(tmp_path, head + SERVICE)
    (window,) = load(tmp_path).maintenance
    assert (window.start, window.reason) == (at("05T21:00"), "upgrade")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "start = 2026-12-05T22:00:00\nend = 2026-12-06T02:00:00Z",
            ":2: maintenance 1.start: Input should have timezone",
        ),
        ("start = 2026-12-05T22:00:00Z\nend = 2026-12-05T02:00:00Z", "ends before it starts"),
        ("start = 2026-12-05T22:00:00Z\nend = 2026-12-07T02:00:00Z\nevery_days = 1", "so that it never ends"),
        ("start = 2026-12-05T22:00:00Z\nend = 2026-12-07T02:00:00Z\nevery = 7", "unknown key 'every'"),
    ],
)
def test_a_window_that_cannot_be(tmp_path: Path, table: str, message: str) -> None:
    """A local time of no zone, an end before the start, one without a pause, a mistyped key."""
    assert message in refusal(tmp_path, f"[[maintenance]]\n{table}\n{SERVICE}")
