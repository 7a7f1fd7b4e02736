"""The report of an audit, a module per format.

`envmatrix audit` comes in here by `reporter`.
"""

from __future__ import annotations

from envmatrix.analysis.audit.audit import Audit
from envmatrix.report.base import Reporter, find_reporter

FORMATS = {"text": "text", "json": "json_", "sarif": "sarif", "github": "github", "markdown": "markdown"}
"""Format → the module here that renders it."""


def reporter(name: str) -> Reporter[Audit]:
    """Return the reporter of a format.

    Raises:
        UsageError: there is no such format.
    """
    return find_reporter(__name__, FORMATS, name)
