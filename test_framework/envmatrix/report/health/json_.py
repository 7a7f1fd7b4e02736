"""The health of environments as one JSON document. Nothing is shortened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from envmatrix.report.documents import as_json
from envmatrix.services.health import EnvironmentHealth, worst

SCHEMA = 1


def render(environments: Sequence[EnvironmentHealth]) -> str:
    """Return the document."""
    status = worst(each.status for each in environments)
    document = {
        "schema": SCHEMA,
        "status": status,
        "exit_code": status.exit_code,
        "environments": [{**asdict(each), "status": each.status} for each in environments],
    }
    return as_json(document)
