"""One test suite, every environment, one compatibility matrix."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envmatrix.contracts import Contract as Contract
    from envmatrix.contracts import RealLLM as RealLLM
    from envmatrix.contracts import RealServices as RealServices
    from envmatrix.environments import Environment as Environment
    from envmatrix.exceptions import EnvmatrixError as EnvmatrixError
    from envmatrix.gate import Verdict as Verdict
    from envmatrix.gate import judge as judge
    from envmatrix.matrix.table import Matrix as Matrix
    from envmatrix.runs.cells import Cell as Cell
    from envmatrix.runs.cells import Run as Run
    from envmatrix.runs.events import Evidence as Evidence
    from envmatrix.runs.file import read_run as read_run
    from envmatrix.runs.outcomes import Cause as Cause
    from envmatrix.runs.outcomes import Outcome as Outcome
    from envmatrix.services.supervisor.outside import load_environment as load_environment

# pytest imports this package in every project that has it installed: each name is imported when it is first used.
_HOMES = {
    "Cause": "runs.outcomes",
    "Cell": "runs.cells",
    "Contract": "contracts",
    "Environment": "environments",
    "EnvmatrixError": "exceptions",
    "Evidence": "runs.events",
    "Matrix": "matrix.table",
    "Outcome": "runs.outcomes",
    "RealLLM": "contracts",
    "RealServices": "contracts",
    "Run": "runs.cells",
    "Verdict": "gate",
    "judge": "gate",
    "load_environment": "services.supervisor.outside",
    "read_run": "runs.file",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  one list is enough


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
