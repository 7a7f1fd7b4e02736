"""The report of what a sampled run used: a module per format, and the image that `svg` draws.

`envmatrix monitor` comes in here by `reporter`.
"""

from collections.abc import Callable
from functools import partial

from envmatrix.report.base import Reporter, find_reporter
from envmatrix.report.monitor.usage import Usage

FORMATS = {"terminal": "terminal", "json": "json_"}
"""Format → the module here that renders it."""

reporter: Callable[[str], Reporter[Usage]] = partial(find_reporter, __name__, FORMATS)
