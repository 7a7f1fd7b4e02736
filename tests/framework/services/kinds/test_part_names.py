"""Names that tell when a part was made."""

import time

import pytest

from envmatrix.services.kinds.part_names import of_run, part_name, stale


def test_a_name_is_fresh_and_needs_no_quotes() -> None:
    """Two of one worker differ; whatever the worker is called, the name is short and plain."""
    first, second = part_name("GW0-a.b"), part_name("GW0-a.b")
    assert first != second
    assert first.endswith("_gw0_a_b")
    assert len(part_name("x" * 99)) == 63


def test_only_old_names_of_ours_are_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day later the name is stale, an hour before that it isn't; what merely looks like one never is."""
    name, now = part_name("gw0"), time.time()
    others = ["envmatrix", "envmatrix_results", "envmatrix_abc_deadbeef_gw0", f"{name}-x", f"my_{name}", name.upper()]
    monkeypatch.setattr(time, "time", lambda: now + 23 * 3600)
    assert stale([name, *others]) == []
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    assert stale([name, *others]) == [name]


def test_the_parts_of_a_run_are_known_by_their_names() -> None:
    """By the beginning of the worker's name, whatever characters a run's has; another run's are its own."""
    mine, other = part_name("9f-A1_gw0"), part_name("9f-A11_gw0")
    assert of_run([mine, other, "9f_a1_gw0", "envmatrix_results"], "9f-A1") == [mine]
