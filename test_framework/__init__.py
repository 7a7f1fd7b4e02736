"""One test suite, every environment, one compatibility matrix."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from test_framework.cells import Cause as Cause
    from test_framework.cells import Cell as Cell
    from test_framework.cells import Evidence as Evidence
    from test_framework.cells import Outcome as Outcome
    from test_framework.cells import Run as Run
    from test_framework.contracts import Contract as Contract
    from test_framework.contracts import RealLLM as RealLLM
    from test_framework.contracts import RealServices as RealServices
    from test_framework.environments import Environment as Environment
    from test_framework.environments import load_environment as load_environment
    from test_framework.exceptions import EnvmatrixError as EnvmatrixError
    from test_framework.gate import Verdict as Verdict
    from test_framework.gate import judge as judge
    from test_framework.matrix import Matrix as Matrix
    from test_framework.run_file import read_run as read_run

# pytest imports this package in every project that has it installed: each name is imported when it is first used.
_HOMES = {
    "Cause": "cells",
    "Cell": "cells",
    "Contract": "contracts",
    "Environment": "environments",
    "EnvmatrixError": "exceptions",
    "Evidence": "cells",
    "Matrix": "matrix",
    "Outcome": "cells",
    "RealLLM": "contracts",
    "RealServices": "contracts",
    "Run": "cells",
    "Verdict": "gate",
    "judge": "gate",
    "load_environment": "environments",
    "read_run": "run_file",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  one list is enough


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
