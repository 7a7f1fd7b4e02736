"""Which of pytest's arguments narrow a run to a part of the suite.

What the project's own settings leave out is no part of its suite. What the command line leaves out beyond that, or
`PYTEST_ADDOPTS`, is.
"""

from __future__ import annotations

import argparse
import glob
import importlib.util
import re
import shlex
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from envmatrix.environments import PytestTable
from envmatrix.masking import MASKER
from envmatrix.runner.pytest_options import PYTEST_OPTIONS

_NOTHING_DECLARED = PytestTable()
_NARROWING = tuple(option for option in PYTEST_OPTIONS if option.narrows)
_SETTINGS = frozenset(
    {
        "collect_imported_tests",
        "norecursedirs",
        "python_classes",
        "python_files",
        "python_functions",
        "pythonpath",
        "testpaths",
    }
)
"""Settings that say which tests there are, or what they import: given by `-o`, they are not the project's."""

_SETTINGS_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
"""The files that pytest reads its settings from, first come first."""

_BUILT_IN = frozenset({"doctest", "python", "unittest"})
"""pytest's own plugins that collect tests."""

_COLLECTING = re.compile(rb"def (pytest_collect_file|pytest_collect_directory|pytest_pycollect_makemodule)\b")
"""What a plugin defines that finds tests of its own."""


def narrowed(
    config: pytest.Config, root: Path, suites: Sequence[str], table: PytestTable = _NOTHING_DECLARED
) -> tuple[str, ...]:
    """Return the arguments that narrow a run, as on a command line; none where all of the suite is to run.

    `suites` are the project's, relative to its root; without any, pytest's `testpaths` are, or all below its rootdir.
    `table` is what the environment declares for pytest: what that leaves out is no part of its suite either.
    """
    options = _options(config, table, has_suites=bool(suites))
    return tuple(MASKER.mask(word) for word in (*_paths(config, root, suites), *options))


def _paths(config: pytest.Config, root: Path, suites: Sequence[str]) -> Iterator[str]:
    """Yield the paths that were given, where they leave out some of the suite."""
    base = config.rootpath
    patterns = config.getini("testpaths")
    existing = [path for each in patterns for path in glob.glob(each, root_dir=base, recursive=True)]  # noqa: PTH207  as pytest
    whole = [_part(root, suite) for suite in suites] or [_part(base, path) for path in existing or ["."]]
    given = [_part(config.invocation_params.dir, word) for word in config.args]
    if all(any(_holds(one, part) for one in given) for part in whole):
        return
    for path, test in given:
        shown = path.relative_to(root.resolve()) if path.is_relative_to(root.resolve()) else path
        yield shlex.quote(f"{shown}::{test}" if test else str(shown))


_Part = tuple[Path, str]
"""A file or a directory, and the test within it; empty for all of them."""


def _part(base: Path, word: str) -> _Part:
    path, _, test = word.partition("::")
    return (base / path).resolve(), test


def _holds(one: _Part, part: _Part) -> bool:
    return one == part or (not one[1] and part[0].is_relative_to(one[0]))


def _options(config: pytest.Config, table: PytestTable, *, has_suites: bool) -> Iterator[str]:
    given, own = config.option, _own(config, table)
    for option in _NARROWING:
        value, by_project = getattr(given, option.narrows, None), getattr(own, option.narrows)
        name = option.names[0]
        if option.narrows == "inifilename" and value and _is_own_file(config, value):
            continue
        if option.narrows == "rootdir" and config.rootpath == config.invocation_params.dir.resolve():
            continue  # where pytest was started, as it is where none is given
        if option.may_repeat:
            yield from (shlex.quote(f"{name}={each}") for each in value or () if each not in by_project)
        elif value and value != by_project:
            yield f"{name} {shlex.quote(value)}" if option.has_value else name
    for word in given.plugins or ():
        if word.startswith("no:") and word not in own.plugins and _collects(word.removeprefix("no:")):
            yield f"-p {shlex.quote(word)}"
    for setting in given.override_ini or ():
        # Our own way to name the suites to pytest where their paths would mean something else.
        counts = _setting(setting) in _SETTINGS - ({"testpaths"} if has_suites else set())
        if counts and setting not in own.override_ini:
            yield f"-o {shlex.quote(setting)}"


def _own(config: pytest.Config, table: PytestTable) -> Any:
    """Return the options that the project's own `addopts`, unless it was overridden, and the declaration would set."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in _NARROWING:
        if option.may_repeat:
            parser.add_argument(*option.names, dest=option.narrows, action="append", default=[])
        elif option.has_value:
            parser.add_argument(*option.names, dest=option.narrows, default="")
        else:
            parser.add_argument(*option.names, dest=option.narrows, action="store_true")
    parser.add_argument("-p", dest="plugins", action="append", default=[])
    parser.add_argument("-o", "--override-ini", dest="override_ini", action="append", default=[])
    overridden = "addopts" in map(_setting, config.option.override_ini or ())
    addopts = [] if overridden else config.getini("addopts")
    own = parser.parse_known_args([*addopts, *table.args])[0]
    own.markexpr = table.selecting(own.markexpr)
    return own


def _is_own_file(config: pytest.Config, name: str) -> bool:
    """Return whether the settings that `-c` names are those that pytest would have read without it."""
    existing = (config.rootpath / each for each in _SETTINGS_FILES if (config.rootpath / each).is_file())
    return next(existing, None) == (config.invocation_params.dir / name).resolve()


def _collects(plugin: str) -> bool:
    """Return whether a plugin finds tests of its own, by its source: it was refused, and is not imported."""
    if plugin in _BUILT_IN:
        return True
    module = next((each.module for each in entry_points(group="pytest11", name=plugin)), plugin)
    try:
        spec = importlib.util.find_spec(module)
        return bool(spec and spec.origin and _COLLECTING.search(Path(spec.origin).read_bytes()))
    except (ImportError, OSError, ValueError):
        return False


def _setting(word: str) -> str:
    return word.partition("=")[0].strip()
