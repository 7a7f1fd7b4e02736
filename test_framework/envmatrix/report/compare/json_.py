"""What changed between two matrices, as one JSON document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from envmatrix.matrix.compare import Change, ChangeKind, Comparison, Seen, Side
from envmatrix.report.documents import as_json

SCHEMA = 1


def render(comparison: Comparison) -> str:
    """Return the comparison for programs; tests that are the same are only counted."""
    document = {
        "schema": SCHEMA,
        "exit_code": comparison.exit_code,
        "before": _side(comparison.before),
        "after": _side(comparison.after),
        "counts": dict(comparison.counts),
        "environments": [
            {
                "name": changes.environment,
                "label": changes.label,
                "counts": dict(changes.counts),
                "gaps": list(changes.gaps),
                "worse": [change.test for change in changes.worse],
                "unknown": changes.unknown,
                "changes": [_change(change) for change in changes.changes if change.kind is not ChangeKind.SAME],
            }
            for changes in comparison.environments
        ],
    }
    return as_json(document)


def _side(side: Side) -> dict[str, str]:
    return {"name": side.name, "commit": side.commit}


def _change(change: Change) -> dict[str, Any]:
    return {
        "test": change.test,
        "kind": change.kind,
        "renamed_from": change.renamed_from or None,
        "before": _seen(change.before),
        "after": _seen(change.after),
        "usual": change.usual,
        "numbers": list(map(asdict, change.numbers)),
    }


def _seen(seen: Seen | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    return {
        "outcome": seen.outcome,
        "cause": seen.cause,
        "rule": seen.rule or None,
        "summary": seen.summary or None,
        "duration": seen.duration,
    }
