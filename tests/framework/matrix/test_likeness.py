"""Texts of failures that are alike although ids, times and ports differ."""

import pytest

from envmatrix.matrix.likeness import likeness


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("user 0b7a1c52-4a55-4d0e-8d11-0242ac120002 is gone", "user 7c9e6679-7425-40de-944b-e07fc1f90ae7 is gone"),
        ("refused at 127.0.0.1:40001", "refused at 127.0.0.1:51234"),
        ("token of user-9f86d081 expired", "token of user-60303ae2 expired"),
        ("at 2026-01-02T03:04:05.123Z it was late", "at 2026-02-03T04:05:06Z it was late"),
        ("<Order object at 0x7f1c2a>", "<Order object at 0x7fffaa10>"),
        ("took 1.23 s", "took 14 s"),
        ("order 1767324245123 is open", "order 1767324999001 is open"),
    ],
    ids=["uuid", "port", "hex", "time", "address", "duration", "number"],
)
def test_what_changes_from_run_to_run_does_not_tell_texts_apart(one: str, other: str) -> None:
    """Equal failures are grouped."""
    assert likeness(one) == likeness(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("assert 404 == 200", "assert 500 == 200"), ("no face", "no cafe"), ("19 rows", "20 rows"), ("added", "faced")],
)
def test_what_failed_stays(one: str, other: str) -> None:
    """A status, a count and a word are the failure itself."""
    assert likeness(one) != likeness(other)
