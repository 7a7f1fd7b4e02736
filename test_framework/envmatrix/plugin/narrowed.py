"""What pytest was given that narrows the suite: then a run tells of the tests that were asked for, and of no others.

What the project's own settings leave out is no part of its suite. What the command line leaves out beyond that, or
`PYTEST_ADDOPTS`, is.
"""

from __future__ import annotations

import argparse
import glob
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from envmatrix.masking import MASKER

_EXPRESSIONS = {"-k": "keyword", "-m": "markexpr"}
_LISTS = {"--deselect": "deselect", "--ignore": "ignore", "--ignore-glob": "ignore_glob"}
_FLAGS = {"--lf": "lf", "--sw": "stepwise"}
_OTHER_NAMES = {"--lf": ("--last-failed",), "--sw": ("--stepwise", "--sw-skip", "--stepwise-skip")}
_SETTINGS = frozenset({"norecursedirs", "python_classes", "python_files", "python_functions", "testpaths"})
"""Settings that say what a test is, or where: given by `-o`, they are not the project's."""


def narrowed(config: pytest.Config, root: Path, suites: Sequence[str]) -> tuple[str, ...]:
    """Return what narrows a run, as it would be written on a command line; nothing where all of the suite was asked for.

    `suites` are the project's, relative to its root; without any, pytest's `testpaths` are, or all below its rootdir.
    """
    return tuple(
        MASKER.mask(word) for word in (*_paths(config, root, suites), *_options(config, has_suites=bool(suites)))
    )


def _paths(config: pytest.Config, root: Path, suites: Sequence[str]) -> Iterator[str]:
    """Yield the paths that were given, where they leave some of the whole out."""
    base = config.rootpath
    patterns = config.getini("testpaths")
    found = [path for each in patterns for path in glob.glob(each, root_dir=base, recursive=True)]  # noqa: PTH207  as pytest
    whole = [_place(root, suite) for suite in suites] or [_place(base, path) for path in found or ["."]]
    given = [_place(config.invocation_params.dir, word) for word in config.args]
    if all(any(_holds(one, part) for one in given) for part in whole):
        return
    for path, test in given:
        shown = path.relative_to(root.resolve()) if path.is_relative_to(root.resolve()) else path
        yield shlex.quote(f"{shown}::{test}" if test else str(shown))


_Place = tuple[Path, str]
"""A file or a directory, and what is meant within it."""


def _place(base: Path, word: str) -> _Place:
    path, _, test = word.partition("::")
    return (base / path).resolve(), test


def _holds(one: _Place, part: _Place) -> bool:
    return one == part or (not one[1] and part[0].is_relative_to(one[0]))


def _options(config: pytest.Config, *, has_suites: bool) -> Iterator[str]:
    given, own = config.option, _own(config)
    for name, key in _EXPRESSIONS.items():
        if (value := getattr(given, key, "")) and value != getattr(own, key):
            yield f"{name} {shlex.quote(value)}"
    for name, key in _LISTS.items():
        for value in getattr(given, key, None) or ():
            if value not in getattr(own, key):
                yield shlex.quote(f"{name}={value}")
    for name, key in _FLAGS.items():
        if getattr(given, key, False) and not getattr(own, key):
            yield name
    for setting in given.override_ini or ():
        # Our own way to name the suites to pytest where their paths would mean something else.
        counts = _setting(setting) in _SETTINGS - ({"testpaths"} if has_suites else set())
        if counts and setting not in own.override_ini:
            yield f"-o {shlex.quote(setting)}"


def _own(config: pytest.Config) -> Any:
    """Return what the project's own `addopts` alone would come to, unless it was overridden."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name, key in _EXPRESSIONS.items():
        parser.add_argument(name, dest=key, default="")
    for name, key in _LISTS.items():
        parser.add_argument(name, dest=key, action="append", default=[])
    for name, key in _FLAGS.items():
        parser.add_argument(name, *_OTHER_NAMES[name], dest=key, action="store_true")
    parser.add_argument("-o", "--override-ini", dest="override_ini", action="append", default=[])
    overridden = "addopts" in map(_setting, config.option.override_ini or ())
    return parser.parse_known_args([] if overridden else config.getini("addopts"))[0]


def _setting(word: str) -> str:
    return word.partition("=")[0].strip()
