"""The one interface of every format: a function from the thing reported to text."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, TypeVar

from envmatrix.exceptions import UsageError, nearest

Subject_contra = TypeVar("Subject_contra", contravariant=True)


class Reporter(Protocol[Subject_contra]):
    """The `render` function of a format's module."""

    def __call__(self, subject: Subject_contra, /) -> str:
        """Return the report, ending in a newline. Names of tests have no effect in it but to be read."""


def find_reporter(package: str, formats: Mapping[str, str], name: str) -> Reporter[Any]:
    """Import the module of a format and return its reporter; `formats` maps formats to modules of the package.

    Raises:
        UsageError: there is no such format.
    """
    if name not in formats:
        raise UsageError(f"no format {name!r}", nearest(name, formats))
    make: Reporter[Any] = import_module(f"{package}.{formats[name]}").render
    return make
