"""The files that a suite is made of, by their digests: a run during which one of them changed is evidence of no version."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def suite_files(root: Path, tests: Iterable[str], settings: Iterable[Path]) -> dict[str, str]:
    """Return the digest of each test module, of the conftests above them and of files of settings.

    Args:
        root: pytest's root directory, to which node ids and the returned paths are relative.
        tests: Node ids.
        settings: The declaration, pytest's configuration.
    """
    modules = {root / test for test in {test.partition("::")[0] for test in tests}}
    directories = {directory for module in {module.parent for module in modules} for directory in _up_to(root, module)}
    files = {*modules, *(directory / "conftest.py" for directory in directories), *settings}
    return {os.path.relpath(file, root): _digest(file) for file in sorted(files) if file.is_file()}


def changed_files(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files that were edited, added or removed."""
    return tuple(sorted(file for file in before.keys() | now.keys() if before.get(file) != now.get(file)))


def _up_to(root: Path, directory: Path) -> Iterable[Path]:
    """Return a directory and those above it, up to the root."""
    above = (directory, *directory.parents)
    return above[: above.index(root) + 1] if root in above else (directory,)


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return "unread"
