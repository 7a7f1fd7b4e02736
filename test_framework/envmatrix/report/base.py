"""What every format is: a function from a matrix and its verdicts to text."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from envmatrix.exceptions import UsageError, nearest
from envmatrix.gate import Verdict
from envmatrix.matrix.table import Matrix

FORMATS = {
    "terminal": "matrix.terminal",
    "markdown": "matrix.markdown",
    "json": "matrix.json_",
    "github": "matrix.github",
}
"""Format → the module here that makes it; imported when asked for."""


class Reporter(Protocol):
    """Makes the text of one format."""

    def __call__(self, matrix: Matrix, verdicts: Sequence[Verdict]) -> str:
        """Return the report, ending in a newline. Whatever a test is called, it is inert in the result."""


def reporter(name: str) -> Reporter:
    """Return the maker of a format.

    Raises:
        UsageError: there is no such format.
    """
    if name not in FORMATS:
        raise UsageError(f"no format {name!r}", nearest(name, FORMATS))
    make: Reporter = import_module(f"envmatrix.report.{FORMATS[name]}").render
    return make
