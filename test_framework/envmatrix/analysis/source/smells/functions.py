"""All smells of one function.

Only statements are walked, which is cheap; an expression is looked into where the statement around it asks for that.
"""

from __future__ import annotations

import ast

from envmatrix.analysis.source.expressions import FunctionNode
from envmatrix.analysis.source.facts import Note
from envmatrix.analysis.source.smells.assertions import (
    asserted_tuples,
    conditional_assertions,
    swallowed_assertions,
    tests_that_cannot_fail,
)
from envmatrix.analysis.source.smells.outages import hidden_failures, skips_in_outages
from envmatrix.analysis.source.smells.statements import all_statements, kinds_of


def function_notes(
    node: FunctionNode, *, is_fixture: bool, skips: bool = True, suppresses: bool = True
) -> tuple[Note, ...]:
    """Return what hides a failure of a function, should it be a test or a fixture.

    Args:
        node: The function.
        is_fixture: Whether it may be a fixture.
        skips: Whether the word `skip` is in it.
        suppresses: Whether the word `suppress` is in it.
    """
    if node.name.startswith("_") and not is_fixture:
        return ()
    kinds = kinds_of(node.body)
    notes: list[Note] = []
    if not is_fixture:
        notes += tests_that_cannot_fail(node)
        if ast.Assert in kinds:
            notes += asserted_tuples(node.body)
            if ast.If in kinds and not skips:  # one that skips minds where it runs
                notes += conditional_assertions(node, all_statements(node.body))
            if ast.Try in kinds or ast.TryStar in kinds or (suppresses and ast.With in kinds):
                notes += swallowed_assertions(node.body, in_loop=False)
    elif ast.Try in kinds:
        notes += hidden_failures(node)
    if skips and (ast.Try in kinds or ast.If in kinds):
        notes += skips_in_outages(node, node.body)
    return tuple(notes)
