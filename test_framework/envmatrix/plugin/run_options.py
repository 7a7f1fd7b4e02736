"""The options of a run that whoever runs one of its tests again must give, too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from envmatrix.masking import MASKER
from envmatrix.plugin.selection import Selection
from envmatrix.runner.pytest_options import chooses_tests, takes_next_word


def run_options(config: pytest.Config, selection: Selection) -> tuple[str, ...]:
    """Return the words for `envmatrix run` that say where declarations and variables come from, and the deadline."""
    words: list[str] = []
    root = selection.project.root
    if selection.directory.resolve() != selection.project.environments_dir.resolve():
        words += ["--environments", _from(root, selection.directory)]
    if selection.env_file is not None:
        words += ["--env-file", _from(root, selection.env_file)]
    for text in selection.environment.overrides:
        words += ["--set", text]
    if selection.environment.alias:
        words += ["--as", selection.environment.alias]
    if (seconds := config.getoption("--matrix-test-deadline")) is not None:
        words += ["--test-deadline", f"{seconds:g}"]
    return tuple(map(MASKER.mask, words))


def pytest_options(config: pytest.Config) -> tuple[str, ...]:
    """Return the words for pytest that say how tests are run: not which, not where to, and none of ours but one."""
    return tuple(map(MASKER.mask, _kept(config.invocation_params.args)))


def _kept(arguments: tuple[str, ...]) -> Iterator[str]:
    words = iter(arguments)
    for word in words:
        name, has_value, _ = word.partition("=")
        value = "" if not word.startswith("-") or has_value or not takes_next_word(word) else next(words, "")
        is_ours = name.startswith("--matrix-") and name != "--matrix-destructive"
        is_of_runner = name in _OF_THE_RUNNER or value.startswith(("cache_dir=", "envmatrix."))
        if not word.startswith("-") or is_ours or is_of_runner or (chooses_tests(word) and not word.startswith("-m")):
            continue
        yield word
        if value:
            yield value


_OF_THE_RUNNER = frozenset({"--reruns", "--rerun-except", "--junitxml", "--junit-xml", "--rootdir"})
"""Options of retries and of files that a run writes: a test that is run again alone needs none."""


def _from(root: Path, path: Path) -> str:
    """Return a path as seen from the project's root."""
    return os.path.relpath(path.resolve(), root.resolve())
