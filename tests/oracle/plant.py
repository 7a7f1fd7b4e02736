"""Plant missing fixtures: copy a tree, and remove, rename or move fixtures at random, the same ones each time."""

from __future__ import annotations

import ast
import os
import random
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.source.facts import Function


class How(StrEnum):
    """The change that is made to a definition."""

    REMOVE = "removed"
    RENAME = "renamed"
    MOVE = "moved into a sibling's sight"
    HIDE = "made a plain function"


@dataclass(frozen=True, slots=True)
class Planted:
    """One definition that was changed, and how."""

    how: How
    path: str
    line: int
    name: str


def copy(root: Path, to: Path) -> Path:
    """Copy a package with the libraries that its wheel brings beside it, by hard links; return the copy."""
    for source in (root, *root.parent.glob(f"{root.name}.libs"), *root.parent.glob("scikit_learn.libs")):
        shutil.copytree(source, to / source.name, copy_function=_link, ignore=shutil.ignore_patterns("__pycache__"))
    return to / root.name


def _link(source: str, to: str) -> None:
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)


def plant(root: Path, index: Index, count: int, seed: int) -> list[Planted]:
    """Change some definitions of fixtures in a tree, at most one in each file, and say which."""
    dice = random.Random(seed)
    chosen: dict[str, Fixture] = {}
    candidates = sorted(
        {(each.path, each.line, each.name): each for each in index.fixtures if each.function}.values(),
        key=lambda fixture: (fixture.path, fixture.line, fixture.name),
    )
    dice.shuffle(candidates)
    for fixture in candidates:
        if len(chosen) < count:
            chosen.setdefault(fixture.path, fixture)
    planted = []
    for path, fixture in sorted(chosen.items()):
        assert fixture.function
        how = dice.choice(list(How))
        _change(root / path, how, fixture.function, dice)
        planted.append(Planted(how, path, fixture.line, fixture.name))
    return planted


def _change(path: Path, how: How, function: Function, dice: random.Random) -> None:
    first, line, end = function.first_line, function.line, function.end_line
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    indent = lines[first - 1][: len(lines[first - 1]) - len(lines[first - 1].lstrip())]
    block = lines[first - 1 : end]
    if how is How.RENAME:
        lines[line - 1] = lines[line - 1].replace("def ", "def planted_", 1)
    elif how is How.HIDE:
        lines[first - 1 : line - 1] = [f"{indent}# planted\n"] * (line - first)
    else:
        lines[first - 1 : end] = [f"{indent}pass  # planted\n"] + [f"{indent}# planted\n"] * (end - first)
        if how is How.MOVE and not indent:
            sibling = path.parent / f"planted_{dice.randrange(10**6)}"
            sibling.mkdir()
            _write(sibling / "conftest.py", "import pytest\n" + "".join(block))
    text = "".join(lines)
    try:
        ast.parse(text)
    except SyntaxError:
        return
    _write(path, text)


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # the original is the same file by another name
    path.write_text(text, encoding="utf-8")
