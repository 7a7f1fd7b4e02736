"""One test suite, every environment, one compatibility matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envmatrix.contracts import Contract as Contract
    from envmatrix.contracts import RealLLM as RealLLM
    from envmatrix.contracts import RealServices as RealServices
    from envmatrix.environments import Environment as Environment
    from envmatrix.environments import load_environment as load_environment
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


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return a package's `__getattr__`, which imports each public name from its home when it is first used."""

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"envmatrix.{homes[name]}"), name)

    return get


# pytest imports this package in every project that has it installed.
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
    "load_environment": "environments",
    "read_run": "runs.file",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  one list is enough

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
