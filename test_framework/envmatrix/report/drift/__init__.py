"""The report of how environments differ, a module per format.

`envmatrix drift` comes in here by `reporter`.
"""

from collections.abc import Callable
from functools import partial

from envmatrix.matrix.drift import Drift
from envmatrix.report.base import Reporter, find_reporter

FORMATS = {"terminal": "terminal", "markdown": "markdown", "json": "json_"}
"""Format → the module here that renders it."""

reporter: Callable[[str], Reporter[Drift]] = partial(find_reporter, __name__, FORMATS)
