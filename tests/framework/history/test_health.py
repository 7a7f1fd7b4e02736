"""Changes of health in the file of the runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from envmatrix.exceptions import HistoryError
from envmatrix.history import forget, past_changes, remember, remember_changes
from envmatrix.services.health import Change, HealthStatus
from tests.framework.history.test_record import run_of

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()
FELL = Change(NOON, "shop", "redis", "", HealthStatus.OK, HealthStatus.DOWN, "refused \ud800", ("backend", "auth"))
ROSE = Change(NOON + 60, "shop", "redis", "", HealthStatus.DOWN, HealthStatus.OK)
FIRST = Change(NOON + 30, "staging (twin)", "auth", "no token", None, HealthStatus.DOWN, "answers 200")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the history is."""
    return tmp_path / "history.sqlite"


def test_what_was_recorded_comes_back_the_newest_first(path: Path) -> None:
    """Of all environments or of one, and no more than was asked for."""
    assert [remember_changes(path, [FELL]), remember_changes(path, [FIRST, ROSE])] == ["", ""]
    assert past_changes(path, "", 10) == (ROSE, FIRST, FELL)
    assert past_changes(path, "shop", 1) == (ROSE,)
    assert past_changes(path, "staging (twin)", 10) == (FIRST,)


def test_a_file_of_runs_alone_takes_them_too(tmp_path: Path, path: Path) -> None:
    """An older file has no such table: it is no other file, and is not set aside."""
    run = run_of(tmp_path)
    remember(path, [run])
    assert past_changes(path, "", 10) == ()
    assert remember_changes(path, [FELL]) == ""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_old_ones_are_deleted_with_old_runs(path: Path) -> None:
    """By the same number of days."""
    remember_changes(path, [FELL, ROSE])
    assert forget(path, 1, datetime.fromtimestamp(NOON + 24 * 3600 + 30, UTC)) == 0
    assert past_changes(path, "", 10) == (ROSE,)


def test_what_cannot_be_recorded_is_a_warning(path: Path) -> None:
    """A watch goes on without its history; who asks for one that is damaged gets an error."""
    path.write_text("no database")
    assert "is no history of ours, and left alone" in remember_changes(path, [FELL])
    with pytest.raises(HistoryError):
        past_changes(path, "", 10)
