"""The report of an audit, a module per format.

`envmatrix audit` comes in here by `reporter`.
"""

from collections.abc import Callable
from functools import partial

from envmatrix.analysis.audit.audit import AuditResult
from envmatrix.report.base import Reporter, find_reporter

FORMATS = {"text": "text", "json": "json_", "sarif": "sarif", "github": "github", "markdown": "markdown"}
"""Format → the module here that renders it."""

reporter: Callable[[str], Reporter[AuditResult]] = partial(find_reporter, __name__, FORMATS)
