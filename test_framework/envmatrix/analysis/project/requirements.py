"""The distributions that a project's files declare as dependencies."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from envmatrix.analysis.project.config_files import lenient, read_ini, read_toml, table
from envmatrix.analysis.project.installed import normalised
from envmatrix.safety.input_files import read_text

_FILES = ("*requirements*", "requirements/*", "*/*requirements*", "*/requirements/*")
_NAMED = re.compile(r"\s*(?:(?:-r|--requirements?|file:)[\s=]*([^\s,]+)|([^\s;@]+\.(?:txt|in))\s*$)")
"""A file of requirements, as `-r FILE`, as `file: FILE` of setuptools, or by its name alone."""


def declared(root: Path) -> frozenset[str]:
    """Return the normalised names of all distributions that a project declares, in any group or extra."""
    return frozenset(
        normalised(match[1]) for text in _requirements(root) if (match := re.match(r"\s*([A-Za-z0-9][\w.-]*)", text))
    )


def _requirements(root: Path) -> Iterator[str]:
    """Yield all texts that look like a requirement, from each file that may declare some."""
    files = {file for pattern in _FILES for file in root.glob(pattern) if file.suffix in {".in", ".txt"}}
    texts = [
        *_in_toml(lenient(read_toml, root / "pyproject.toml") or {}),
        *_in_setup_cfg(lenient(read_ini, root / "setup.cfg") or {}),
        *_in_tox_ini(lenient(read_ini, root / "tox.ini") or {}),
        *_in_setup_py(lenient(read_text, root / "setup.py") or ""),
        *(f"-r {file}" for file in sorted(files)),
    ]
    yield from _followed(texts, root, set())


def _followed(texts: Iterable[str], directory: Path, seen: set[Path]) -> Iterator[str]:
    """Yield requirements, those of the files that some of them name too."""
    for text in texts:
        if (named := _NAMED.match(text)) is None:
            yield text
        elif (file := directory / (named[1] or named[2])) not in seen:
            seen.add(file)
            yield from _followed((lenient(read_text, file) or "").splitlines(), file.parent, seen)


def _in_tox_ini(sections: dict[str, dict[str, str]]) -> Iterator[str]:
    for section in sections.values():
        for line in section.get("deps", "").splitlines():
            yield line.rpartition(": ")[2]  # after the condition `py311: `


def _in_setup_py(source: str) -> Iterator[str]:
    """Yield the texts in lists, tuples and sets."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        for item in node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else ():
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                yield item.value


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
            if is_list and (not isinstance(value, list) or all(isinstance(each, dict) for each in value)):
                yield key  # Poetry: `name = "^1.0"`, or several such
                yield from _in_toml([table(value).get("file")], is_list=True)  # setuptools: `extra = {file = …}`
            else:
                yield from _in_toml(value, is_list=is_list or "dependenc" in key)
