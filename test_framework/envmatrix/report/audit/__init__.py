"""What the audit found, in several formats: one small module each, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from envmatrix.analysis.audit.audit import Audit
from envmatrix.exceptions import UsageError, nearest

FORMATS = {"text": "text", "json": "json_", "sarif": "sarif", "github": "github", "markdown": "markdown"}
"""Format → the module here that makes it."""


class Reporter(Protocol):
    """Makes the text of one format."""

    def __call__(self, audit: Audit) -> str:
        """Return the report, ending in a newline. Whatever a test is called, it is inert in the result."""


def reporter(name: str) -> Reporter:
    """Return the maker of a format.

    Raises:
        UsageError: there is no such format.
    """
    if name not in FORMATS:
        raise UsageError(f"no format {name!r}", nearest(name, FORMATS))
    make: Reporter = import_module(f"envmatrix.report.audit.{FORMATS[name]}").render
    return make
