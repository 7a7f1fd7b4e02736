"""The report of a matrix, a module per format.

`matrix`, `run`, `show` and `merge` come in here by `reporter`.
"""

from collections.abc import Callable
from functools import partial

from envmatrix.report.base import Reporter, find_reporter
from envmatrix.report.matrix.summary import JudgedMatrix

FORMATS = {
    "terminal": "terminal",
    "full": "full",
    "markdown": "markdown",
    "comment": "comment",
    "json": "json_",
    "github": "github",
}
"""Format → the module here that renders it."""

reporter: Callable[[str], Reporter[JudgedMatrix]] = partial(find_reporter, __name__, FORMATS)
