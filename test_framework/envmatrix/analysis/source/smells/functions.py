"""All smells of one function.

Only statements are walked, which is cheap; an expression is looked into where the statement around it asks for that.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from envmatrix.analysis.source.expressions import FunctionNode
from envmatrix.analysis.source.facts import Note
from envmatrix.analysis.source.smells.assertions import (
    asserted_tuples,
    conditional_assertions,
    swallowed_assertions,
    tests_that_cannot_fail,
)
from envmatrix.analysis.source.smells.outages import hidden_failures, skips_in_outages


def function_notes(
    node: FunctionNode, statements: list[ast.stmt], *, is_fixture: bool, has_word: Callable[[bytes], bool]
) -> tuple[Note, ...]:
    """Return what hides a failure of a function, should it be a test or a fixture.

    Args:
        node: The function.
        statements: All statements in it.
        is_fixture: Whether it may be a fixture.
        has_word: Returns whether a word is in it.
    """
    if node.name.startswith("_") and not is_fixture:
        return ()
    kinds: set[type] = set(map(type, statements))
    has_if, has_try = ast.If in kinds, ast.Try in kinds
    skips = (has_if or has_try) and has_word(b"skip")
    notes: list[Note] = []
    if not is_fixture:
        notes += tests_that_cannot_fail(node)
        if ast.Assert in kinds:
            notes += asserted_tuples(statements)
            if has_if and not skips:  # one that skips minds where it runs
                notes += conditional_assertions(node, statements)
            if has_try or ast.TryStar in kinds or (ast.With in kinds and has_word(b"suppress")):
                notes += swallowed_assertions(node.body, in_loop=False)
    elif has_try:
        notes += hidden_failures(node)
    if skips:
        notes += skips_in_outages(node, node.body)
    return tuple(notes)
