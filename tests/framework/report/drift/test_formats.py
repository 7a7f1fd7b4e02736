"""How environments differ, in every format."""

from __future__ import annotations

import json

import pytest

from envmatrix.matrix.drift import Difference, Drift, Split
from envmatrix.report.drift import FORMATS, reporter
from tests.framework.report.samples import HOSTILE

VERSION = Difference("database", "version", ("PostgreSQL 18.4", "PostgreSQL 18.4", "PostgreSQL 15.2"))
ZONE = Difference("database", "settings timezone", ("UTC", "UTC", ""))
RESULTS = {"test_a.py::test_it": ((2, 0), (0, 1))}
LABELS = ("local", "staging (twin)", "old")


def drift(*differences: Difference, labels: tuple[str, ...] = LABELS, unknown: tuple[str, ...] = ()) -> Drift:
    """One split, of which a test's result goes with the differences."""
    return Drift(labels, (Split(differences[0].groups, differences, RESULTS),), unknown)


@pytest.mark.parametrize("name", ["terminal", "markdown"])
def test_a_correlation_is_told_with_its_counts_and_never_as_a_cause(name: str) -> None:
    """With the values of the one difference, or, of several, only with the sides."""
    text = reporter(name)(drift(VERSION))
    assert "passes on 2 of 2 with database version PostgreSQL 18.4, fails on 1 of 1 with database version" in text
    assert "is a correlation, and no cause." in text
    assert "name more" not in text
    assert "1 difference; the results of 1 test go with some" in text
    both = reporter(name)(drift(VERSION, ZONE))
    assert "passes on 2 of 2 (local, staging (twin)), fails on 1 of 1 (old)" in both


@pytest.mark.parametrize("name", ["terminal", "markdown"])
def test_a_difference_that_no_result_goes_with_says_so(name: str) -> None:
    """Beside others that some result goes with."""
    flag = Difference("backend", "flags new", ("true", "false", "false"))
    splits = (Split(VERSION.groups, (VERSION,), RESULTS), Split(flag.groups, (flag,), {}))
    text = reporter(name)(Drift(LABELS, splits, ()))
    assert text.index("flags new") < text.index("no test's result goes with this")


@pytest.mark.parametrize("name", ["terminal", "markdown"])
def test_of_two_sides_nothing_can_be_told_apart(name: str) -> None:
    """And the report says so."""
    pair = Difference("database", "version", ("18", "15"))
    text = reporter(name)(Drift(LABELS[:2], (Split(pair.groups, (pair,), {"test": ((1, 0), (0, 1))}),), ()))
    assert "name more to tell them apart" in text


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_empty_is_told_as_no_difference(name: str) -> None:
    """What is unknown is named, with the reason."""
    text = reporter(name)(Drift(LABELS, (), ("old: no fingerprint",)))
    assert "old: no fingerprint" in text
    assert "no difference" not in text
    assert "unknown" in text


@pytest.mark.parametrize("name", ["terminal", "markdown"])
def test_a_long_list_is_cut_and_says_so(name: str) -> None:
    """A new schema may have hundreds of columns; the JSON format has all."""
    many = [Difference("database", f"schema column t.c{number}", ("text", "text", "int")) for number in range(50)]
    text = reporter(name)(drift(*many))
    assert "t.c19" in text
    assert "t.c20" not in text
    assert "and 30 more" in text
    assert len(json.loads(reporter("json")(drift(*many)))["splits"][0]["differences"]) == 50


def test_json_has_every_value_and_count() -> None:
    """A value for each side, a count of passed and failed for each group."""
    assert json.loads(reporter("json")(drift(VERSION))) == {
        "schema": 1,
        "exit_code": 1,
        "sides": list(LABELS),
        "splits": [
            {
                "groups": [[0, 1], [2]],
                "differences": [{"service": "database", "trait": "version", "values": list(VERSION.values)}],
                "results": {"test_a.py::test_it": [[2, 0], [0, 1]]},
            }
        ],
        "unknown": [],
    }


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("name", FORMATS)
def test_what_a_service_says_is_only_read(name: str) -> None:
    """Names, traits and values move no cursor, end no table cell and command no CI log."""
    for word in HOSTILE:
        bad = Difference(word, word, (word, word, "x"))
        text = reporter(name)(Drift((word, "q", "r"), (Split(bad.groups, (bad,), {word: ((2, 0), (0, 1))}),), (word,)))
        assert not set(text) & set("\x1b\u202e\udc80\u2028")
        assert not any(line.strip().startswith(("::error", "##[")) for line in text.splitlines())
        if name == "markdown":
            assert all(line.count("|") == 5 for line in text.splitlines() if line.startswith("|"))
