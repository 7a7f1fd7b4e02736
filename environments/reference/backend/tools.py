"""The agents' tools: small, but each looks at or computes something real."""

from __future__ import annotations

import re
import statistics
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from environments.reference.backend.analytics import Analytics
from environments.reference.backend.protocol import Agent
from environments.reference.backend.store import Store

MOST_NUMBERS = 1000


@dataclass(frozen=True)
class Workshop:
    """The data that tools may read; always of one user."""

    user_id: str
    store: Store
    analytics: Analytics


@dataclass(frozen=True)
class Tool:
    """A tool, why an agent takes it, and what it makes of a message."""

    name: str
    reasoning: str
    parameters: Callable[[str], dict[str, Any]]
    use: Callable[[Workshop, dict[str, Any]], Awaitable[dict[str, Any]]]


def numbers_in(message: str) -> list[float]:
    """Return the numbers that a text names."""
    numbers = re.findall(r"(?<![\w.])-?\d{1,15}(?:\.\d{1,15})?(?![\w])", message)
    return [float(number) for number in numbers[:MOST_NUMBERS]]


def route(message: str) -> Agent:
    """Return the agent that a message belongs to, by its words."""
    words = set(re.findall(r"[a-z]+", message.lower()))
    if words & {"cost", "costs", "price", "spend", "spending", "budget", "cheaper", "save"}:
        return Agent.COST_OPTIMIZER
    if words & {"data", "average", "mean", "sum", "statistics", "numbers", "trend"}:
        return Agent.DATA_ANALYSIS
    return Agent.BUSINESS_ADVISOR


async def _usage(workshop: Workshop, parameters: dict[str, Any]) -> dict[str, Any]:
    counts = await workshop.store.counts(workshop.user_id)
    return {**counts, "cost": round(counts["messages"] * parameters["price_per_message"], 6)}


async def _describe(_workshop: Workshop, parameters: dict[str, Any]) -> dict[str, Any]:
    numbers = parameters["numbers"]
    if not numbers:
        return {"count": 0}
    return {
        "count": len(numbers),
        "sum": sum(numbers),
        "mean": statistics.fmean(numbers),
        "min": min(numbers),
        "max": max(numbers),
    }


async def _activity(workshop: Workshop, _parameters: dict[str, Any]) -> dict[str, Any]:
    events = await workshop.analytics.events(workshop.user_id)
    if events is None:
        return {"analytics_available": False, **await workshop.store.counts(workshop.user_id)}
    return {"analytics_available": True, "events": len(events)}


async def _route(_workshop: Workshop, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"agent": route(parameters["message"])}


TOOLS: Mapping[Agent, Tool] = {
    Agent.COST_OPTIMIZER: Tool(
        "usage_summary",
        "What was used decides what can be saved: count it first.",
        lambda _: {"price_per_message": 0.002},
        _usage,
    ),
    Agent.DATA_ANALYSIS: Tool(
        "describe_numbers",
        "The message may hold figures: describe them before saying anything about them.",
        lambda message: {"numbers": numbers_in(message)},
        _describe,
    ),
    Agent.BUSINESS_ADVISOR: Tool(
        "recent_activity",
        "Advice should fit what this user did lately: look at it.",
        lambda _: {"limit": 100},
        _activity,
    ),
    Agent.TRIAGE_AGENT: Tool(
        "route_request",
        "Find out which specialist the request belongs to.",
        lambda message: {"message": message},
        _route,
    ),
}
