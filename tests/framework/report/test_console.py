"""Reports drawn for a terminal or a pipe."""

import pytest

from envmatrix.report.console import make_console


def test_colour_is_off_where_nobody_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is no terminal here; COLUMNS still tells the width."""
    monkeypatch.setenv("COLUMNS", "66")
    console = make_console()
    assert not console.is_terminal
    assert console.width == 66
