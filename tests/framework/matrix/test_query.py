"""Queries over a matrix."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envmatrix.exceptions import QueryError
from envmatrix.matrix.query import line_of, matching_cells, select
from envmatrix.matrix.query_grammar import CELL_WORDS, FLAGS, KEYS
from envmatrix.matrix.table import Selection
from envmatrix.runs.cells import Cell
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Outcome
from tests.framework.matrix.query_samples import CASES, comparison_of, matrix_of

ENVIRONMENTS = CASES["environments"]
MATRIX = matrix_of(ENVIRONMENTS, CASES["rows"])
COMPARISON = comparison_of(ENVIRONMENTS, CASES["rows"])


@pytest.mark.parametrize("case", CASES["selecting"], ids=lambda case: case["query"] or "empty")
def test_a_query_selects_what_the_case_says(case: dict[str, Any]) -> None:
    """The page's own tests run the same cases."""
    selected = select(MATRIX, case["query"], COMPARISON)
    assert [row.test.rpartition("::")[2] for row in selected.rows] == case["tests"]


@pytest.mark.parametrize("case", CASES["wrong"], ids=lambda case: case["query"])
def test_a_wrong_query_is_refused_where_it_is_wrong(case: dict[str, Any]) -> None:
    """With the index of the character, and what to write instead."""
    with pytest.raises(QueryError) as raised:
        select(MATRIX, case["query"], COMPARISON)
    error = raised.value
    assert (error.at, f"{error.what}. {error.hint}" if error.hint else error.what) == (case["at"], case["message"])


def test_every_word_has_a_case() -> None:
    """A word that only one of the two implementations knows would go unseen."""
    used = {word for case in CASES["selecting"] for word in re.findall("[a-z_]+:?", case["query"])}
    assert {*CELL_WORDS, *FLAGS, *(f"{key}:" for key in KEYS)} <= used


def test_a_selection_says_of_how_many_and_keeps_the_columns() -> None:
    """Whoever reads the rows knows that there are more; the runs stay whole."""
    selected = select(MATRIX, "flaky")
    assert selected.selection == Selection("flaky", len(MATRIX.rows))
    assert selected.columns == MATRIX.columns
    assert MATRIX.selection is None


def test_the_cells_are_those_that_the_query_is_true_of() -> None:
    """Not every cell of the tests that it selects."""
    cells = [
        (column.environment, cell.test.rpartition("::")[2]) for column, cell in matching_cells(MATRIX, "cause:logic")
    ]
    assert cells == [("staging-eu.1", "test_logs_in"), ("local", "test_logs_out[now]"), ("local", "test_forgets")]


@pytest.mark.parametrize("query", ["failed new", "local:slower", "-(a or regressed)"])
def test_a_change_without_another_side_is_refused(query: str) -> None:
    """Nothing has regressed against nothing: an empty answer would look like a good one."""
    with pytest.raises(QueryError, match="says how a cell changed, and there is nothing to compare with"):
        select(MATRIX, query)


def test_a_capability_of_any_attempt_is_required() -> None:
    """Exercised counts as used, and a failed attempt as the last one."""
    attempts = (
        Attempt("t", Outcome.FAILED, capabilities=("websocket",)),
        Attempt("t", Outcome.PASSED, services=("redis",)),
    )
    matrix = matrix_of(["local"], [{"test": "t", "cells": [{}]}])
    cell = Cell("t", Outcome.FLAKY, attempts)
    matrix = replace(matrix, rows=(replace(matrix.rows[0], cells=(cell,)),))
    assert [len(select(matrix, f"requires:{name}").rows) for name in ("websocket", "redis", "auth")] == [1, 1, 0]


def test_a_cells_line_is_the_first_that_says_something() -> None:
    """Of the evidence, or else of the reason."""
    failed = Cell("t", Outcome.FAILED, evidence=Evidence("L401", "\n  assert 1 == 2 \nmore"), reason="no")
    assert line_of(failed) == "assert 1 == 2"
    assert line_of(Cell("t", Outcome.SKIPPED, reason="redis is absent")) == "redis is absent"
    assert line_of(Cell("t", Outcome.PASSED)) == ""


@given(st.one_of(st.text(), st.text(alphabet='acdfilnortuv ()|!-<>=":1s.')))
def test_any_text_is_answered_or_refused_at_a_place(query: str) -> None:
    """Whatever is typed or comes out of a link: no other error, and a place within the text."""
    places = [0]
    try:
        select(MATRIX, query, COMPARISON)
    except QueryError as error:
        places.append(error.at)
    assert 0 <= places[-1] <= len(query)


def test_a_long_query_is_answered() -> None:
    """Ten thousand words side by side, and as many deep."""
    assert select(MATRIX, "passed or " * 10_000 + "flaky").rows
    with pytest.raises(QueryError, match="nested too deeply"):
        select(MATRIX, "(" * 10_000)
