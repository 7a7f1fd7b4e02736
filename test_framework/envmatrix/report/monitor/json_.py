"""What a sampled run used, as one JSON document; the samples themselves are in the run file."""

from __future__ import annotations

from msgspec import to_builtins

from envmatrix.report.documents import as_json
from envmatrix.report.monitor.usage import Usage
from envmatrix.report.usage import route_numbers

SCHEMA = 1


def render(usage: Usage) -> str:
    """Return the document."""
    return as_json(
        {
            "schema": SCHEMA,
            "environment": usage.label,
            "samples": usage.samples,
            "seconds": usage.seconds,
            "series": [
                {
                    "of": each.of,
                    "metric": each.metric,
                    "mean": each.mean,
                    "highest": each.highest,
                    "grows": {"per_second": each.leak.slope, "confidence": each.leak.confidence} if each.leak else None,
                }
                for each in usage.series
            ],
            "requests": route_numbers(usage.requests),
            "measured": usage.measured,
            "findings": to_builtins(usage.findings),
        }
    )
