"""What `envmatrix promote` reports, and the words that it shares with the gate."""

from __future__ import annotations

from typing import NamedTuple

from envmatrix.gate import Answer, Verdict

SCHEMA = 1
STATES = {Answer.COMPATIBLE: "open", Answer.INCOMPATIBLE: "shut", Answer.UNKNOWN: "unknown"}
"""Answer → whether the gate lets a change pass."""


class Promotion(NamedTuple):
    """Whether a commit may go from one environment to the next."""

    verdict: Verdict
    commit: str
