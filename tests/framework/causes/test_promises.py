"""The promises that the conformance suite checks."""

import importlib
import inspect
from pathlib import Path

from envmatrix import conformance
from envmatrix.causes import Breaker

MODULES = sorted(file.stem for file in Path(next(iter(conformance.__path__))).glob("test_*.py"))


def test_every_conformance_test_says_who_breaks_its_promise() -> None:
    """Where it fails, the line names what is wrong and who is to mend it."""
    for module in map(importlib.import_module, (f"envmatrix.conformance.{name}" for name in MODULES)):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_"):
                marks = [mark for mark in getattr(function, "pytestmark", ()) if mark.name == "promise"]
                assert len(marks) == 1, name
                broken, breaker = marks[0].args
                assert broken
                assert isinstance(breaker, Breaker)
