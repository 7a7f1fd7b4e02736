"""How environments differ, as one JSON document: the fields of `Drift`, nothing shortened. Groups are numbers of sides."""

from __future__ import annotations

from dataclasses import asdict

from envmatrix.matrix.drift import Drift
from envmatrix.report.documents import as_json

SCHEMA = 1


def render(drift: Drift) -> str:
    """Return the document."""
    return as_json({"schema": SCHEMA, "exit_code": drift.exit_code, **asdict(drift)})
