"""The distributions that a project's files declare as dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from envmatrix.analysis.project.config_files import lenient, read_ini, read_toml
from envmatrix.analysis.project.installed import normalised
from envmatrix.safety.input_files import read_text


def declared(root: Path) -> frozenset[str]:
    """Return the normalised names of all distributions that a project declares, in any group or extra."""
    return frozenset(
        normalised(match[1]) for text in _requirements(root) if (match := re.match(r"\s*([A-Za-z0-9][\w.-]*)", text))
    )


def _requirements(root: Path) -> Iterator[str]:
    """Yield all texts that look like a requirement, from each file that may declare some."""
    yield from _in_toml(lenient(read_toml, root / "pyproject.toml") or {})
    yield from _in_setup_cfg(lenient(read_ini, root / "setup.cfg") or {})
    for section in (lenient(read_ini, root / "tox.ini") or {}).values():
        for line in section.get("deps", "").splitlines():
            yield line.rpartition(": ")[2]  # after the condition `py311: `
    for file in sorted((*root.glob("*requirements*.txt"), *root.glob("requirements/*.txt"))):
        yield from (lenient(read_text, file) or "").splitlines()
    for line in (lenient(read_text, root / "setup.py") or "").splitlines():
        yield from re.findall(r"""["'](pytest-[\w.-]+|envmatrix\b)""", line)


def _in_setup_cfg(sections: dict[str, dict[str, str]]) -> Iterator[str]:
    options = sections.get("options", {})
    lists = (options.get(key, "") for key in ("install_requires", "tests_require", "setup_requires"))
    for value in (*lists, *sections.get("options.extras_require", {}).values()):
        yield from value.splitlines()


def _in_toml(data: Any, *, is_list: bool = False) -> Iterator[str]:
    """Yield requirements from all TOML tables of dependencies: PEP 621 and 735, and common tools."""
    if isinstance(data, str) and is_list:
        yield data
    elif isinstance(data, list):
        for item in data:
            yield from _in_toml(item, is_list=is_list)
    elif isinstance(data, dict):
        for key, value in data.items():
            if is_list and not isinstance(value, list):
                yield key  # Poetry: `name = "^1.0"`
            else:
                yield from _in_toml(value, is_list=is_list or "dependenc" in key)
