"""Vacuous tests as one JSON document. Nothing is shortened."""

from __future__ import annotations

from dataclasses import asdict

from envmatrix.gate.vacuity import Vacuity
from envmatrix.report.documents import as_json

SCHEMA = 1


def render(vacuity: Vacuity) -> str:
    """Return the document."""
    return as_json({"schema": SCHEMA, "exit_code": vacuity.answer.exit_code, **asdict(vacuity)})
