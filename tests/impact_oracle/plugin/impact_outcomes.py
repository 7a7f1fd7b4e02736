"""A pytest plugin: writes what became of each test as JSON, to the file that `ORACLE_OUTCOMES` names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

_OUTCOMES: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the worst of the three phases."""
    if report.when == "call" or report.outcome != "passed":
        _OUTCOMES[report.nodeid] = report.outcome


def pytest_sessionfinish() -> None:
    """Write the file."""
    Path(os.environ["ORACLE_OUTCOMES"]).write_text(json.dumps(_OUTCOMES))
