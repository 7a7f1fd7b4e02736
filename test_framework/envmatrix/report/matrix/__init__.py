"""The report of a matrix, a module per format.

`matrix`, `run`, `show` and `merge` come in here by `reporter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envmatrix.report.base import Reporter, find_reporter

if TYPE_CHECKING:
    from envmatrix.report.matrix.summary import JudgedMatrix

FORMATS = {"terminal": "terminal", "markdown": "markdown", "json": "json_", "github": "github"}
"""Format → the module here that renders it."""


def reporter(name: str) -> Reporter[JudgedMatrix]:
    """Return the reporter of a format.

    Raises:
        UsageError: there is no such format.
    """
    return find_reporter(__name__, FORMATS, name)
