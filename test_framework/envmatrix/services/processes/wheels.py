"""Find the servers that wheels ship without importing the wheels: an import may warn, or take half a second."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from envmatrix.exceptions import MissingExtraError


def package_dir(module: str, extra: str) -> Path:
    """Return the directory of an installed package.

    Raises:
        MissingExtraError: it is not installed.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(module, extra)
    return Path(spec.submodule_search_locations[0])


def need(module: str, extra: str) -> None:
    """Check that a client library is installed.

    Raises:
        MissingExtraError: it is not.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(module, extra)
