"""The report of a look at environments' health, a module per format.

`envmatrix health` comes in here by `reporter`.
"""

from collections.abc import Callable, Sequence
from functools import partial

from envmatrix.report.base import Reporter, find_reporter
from envmatrix.services.health import EnvironmentHealth

FORMATS = {"terminal": "terminal", "markdown": "markdown", "json": "json_", "github": "github"}
"""Format → the module here that renders it."""

reporter: Callable[[str], Reporter[Sequence[EnvironmentHealth]]] = partial(find_reporter, __name__, FORMATS)
