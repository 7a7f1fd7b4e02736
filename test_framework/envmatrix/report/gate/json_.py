"""The gate's decision, or a promotion, as one JSON document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from envmatrix.gate.decide import Decision
from envmatrix.report.documents import as_json
from envmatrix.report.gate.promotion import SCHEMA, STATES, Promotion
from envmatrix.runs.cells import Run


def render(answer: Decision | Promotion) -> str:
    """Return the decision or the promotion."""
    return as_json(_promotion(answer) if isinstance(answer, Promotion) else _decision(answer))


def _decision(decision: Decision) -> dict[str, Any]:
    before = decision.baseline
    return {
        "schema": SCHEMA,
        "gate": STATES[decision.answer],
        "exit_code": decision.exit_code,
        "environments": [
            {
                "name": column.environment,
                "label": column.label,
                "commit": column.run.header.commit if isinstance(column.run, Run) else None,
                "answer": verdict.answer,
                "reasons": list(map(asdict, verdict.reasons)),
            }
            for column, verdict in zip(decision.columns, decision.verdicts, strict=True)
        ],
        "overall": list(map(asdict, decision.overall)),
        "baseline": {"commit": before.commit, "made_at": before.made_at} if before else None,
    }


def _promotion(promotion: Promotion) -> dict[str, Any]:
    verdict, commit = promotion
    return {
        "schema": SCHEMA,
        "promotion": verdict.environment,
        "commit": commit,
        "answer": verdict.answer,
        "exit_code": verdict.answer.exit_code,
        "reasons": list(map(asdict, verdict.reasons)),
    }
