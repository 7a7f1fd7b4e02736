"""The explanations of the cells that a query is true of: one after the other, or one JSON document."""

from __future__ import annotations

import json
from dataclasses import dataclass

from envmatrix.report.console import short
from envmatrix.report.documents import as_json as document_as_json
from envmatrix.report.explain import text
from envmatrix.report.explain.entries import Explanation
from envmatrix.report.text import plural

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class SelectedCells:
    """The cells that a query is true of, and the explanations of the first."""

    query: str
    number: int
    """Of all the cells."""
    explanations: tuple[Explanation, ...]


def as_json(selected: SelectedCells) -> str:
    """Return the document; each explanation in it is the one that `explain ENV TEST --json` prints."""
    explanations = [json.loads(text.as_json(each)) for each in selected.explanations]
    document = {"schema": SCHEMA, "query": selected.query, "cells": selected.number, "explanations": explanations}
    return document_as_json(document)


def as_text(selected: SelectedCells) -> str:
    """Return the explanations under a line that counts them."""
    explained = len(selected.explanations)
    left_out = (
        f"; the first {explained} are explained, a narrower query shows others" if explained < selected.number else ""
    )
    parts = [f"{plural(selected.number, 'cell')} for: {short(selected.query)}{left_out}\n"]
    return f"\n{_RULE}\n\n".join([*parts, *map(text.as_text, selected.explanations)])


_RULE = "-" * 40
