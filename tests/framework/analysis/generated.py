"""Trees of conftests, helpers and tests, made by hypothesis: small, legal, and full of what resolves surprisingly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from textwrap import indent
from typing import TypeAlias, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Files: TypeAlias = dict[str, str]
NAMES = ("a", "b", "c", "d")
DIRECTORIES = ("", "x", "x/y", "z")
HEADER = """\
import functools
import os
import unittest
from unittest import mock
from unittest.mock import patch

import pytest
from pytest import fixture
"""
FIXTURE = (
    "@pytest.fixture",
    "@pytest.fixture()",
    "@fixture",
    "@pytest.fixture(scope='function', params=[1])",
    "@pytest.fixture(autouse=True)",
)
WRAP = (
    "{}",
    "{}",
    "{}",
    "if os.sep:\n{}",
    "try:\n{}\nexcept ImportError:\n    pass",
    "with mock.patch('os.linesep', ''):\n{}",
)


@dataclass(frozen=True, slots=True)
class Dice:
    """Draws; what comes first is what a failing tree shrinks to."""

    draw: Callable[[st.SearchStrategy[object]], object]

    def pick(self, *of: T) -> T:
        """Return one of these."""
        return self.draw(st.sampled_from(of))  # type: ignore[return-value,arg-type]

    def some(self, of: tuple[T, ...], most: int = 2) -> tuple[T, ...]:
        """Return none, one or more of these."""
        return tuple(self.draw(st.lists(st.sampled_from(of), max_size=most, unique=True)))  # type: ignore[arg-type]

    def count(self, most: int) -> int:
        """Return a number, 0 and this one among them."""
        return self.draw(st.integers(0, most))  # type: ignore[return-value,arg-type]


@dataclass(frozen=True, slots=True)
class Helper:
    """What certainly can be imported from a module."""

    bound: frozenset[str] = frozenset()
    starred: frozenset[str] = frozenset()
    """By `*`."""
    has_class: bool = False


Helpers: TypeAlias = dict[str, Helper]


@st.composite
def trees(draw: Callable[[st.SearchStrategy[object]], object]) -> Files:
    """Draw a tree: files by their paths."""
    dice = Dice(draw)
    files: Files = {"pytest.ini": "[pytest]\naddopts = --disable-plugin-autoload\npythonpath = .\n"}
    if used := dice.some(NAMES, 1):
        files["pytest.ini"] += f"usefixtures = {dice.pick('', used[0])}\n"
    helpers: Helpers = {}
    for number in range(dice.count(2)):
        name = dice.pick("helper", "package.helper") + str(number)
        files[f"{name.replace('.', '/')}.py"], helpers[name] = _helper(dice, helpers)
    inside = [name for name in helpers if name.startswith("package.")]
    if inside:
        module = inside[0].removeprefix("package.")
        form = dice.pick("", f"from package.{module} import *", f"from .{module} import *", f"from . import {module}")
        files["package/__init__.py"] = f"{form}\n"
        starred = helpers[inside[0]].starred if "*" in form else frozenset()
        helpers["package"] = Helper(starred, starred)
    for directory in DIRECTORIES:
        prefix = f"{directory}/" if directory else ""
        if dice.pick(True, False):
            files[f"{prefix}conftest.py"] = _conftest(dice, helpers, is_top=not directory)
    for number in range(1 + dice.count(2)):
        directory = dice.pick(*DIRECTORIES)
        prefix = f"{directory}/" if directory else ""
        files[f"{prefix}test_{number}.py"] = _test_file(dice, helpers)
    return files


def _helper(dice: Dice, helpers: Helpers) -> tuple[str, Helper]:
    parts, bound = _holding(dice, helpers)
    has_class = dice.pick(False, False, True)
    if has_class:
        parts.append(_class(dice, "TestImported"))
    starred = frozenset(bound)
    if dice.pick(False, False, True):
        starred = frozenset(dice.some(tuple(sorted(bound)), 3)) if bound else starred
        parts.append(f"__all__ = {sorted(starred)!r}")
    return "\n".join([HEADER, *parts]) + "\n", Helper(frozenset(bound), starred, has_class)


def _conftest(dice: Dice, helpers: Helpers, *, is_top: bool) -> str:
    parts = [HEADER]
    if is_top and helpers and dice.pick(False, True):
        module = dice.pick(*helpers)
        parts.append(dice.pick(f"pytest_plugins = {module!r}", f"pytest_plugins = [{module!r}]"))
    parts += _holding(dice, helpers)[0]
    if dice.pick(False, False, False, False, True):
        parts.append(_generate(dice))
    return "\n".join(parts) + "\n"


def _test_file(dice: Dice, helpers: Helpers) -> str:
    parts = [HEADER]
    if marks := dice.some(NAMES, 1):
        mark = f"pytest.mark.usefixtures({marks[0]!r})"
        parts.append(dice.pick(f"pytestmark = {mark}", f"pytestmark = [{mark}]", f"used = {mark}\npytestmark = [used]"))
    parts += _holding(dice, helpers)[0]
    parts += [_test(dice, f"test_{number}", "") for number in range(1 + dice.count(1))]
    for number in range(dice.count(2)):
        parts.append(_class(dice, f"Test{number}", dice.pick("", *(f"Test{each}" for each in range(number)))))
    if (modules := [name for name, helper in helpers.items() if helper.has_class]) and dice.pick(False, True):
        name = dice.pick("", " as TestOther")
        parts.append(f"from {dice.pick(*modules)} import TestImported{name}")
    if dice.pick(False, False, False, True):
        parts.append(_generate(dice))
    return "\n".join(parts) + "\n"


def _generate(dice: Dice) -> str:
    name = dice.pick(*NAMES)
    return (
        f"def pytest_generate_tests(metafunc):\n"
        f"    if {name!r} in metafunc.fixturenames:\n        metafunc.parametrize({name!r}, [1])\n"
    )


def _holding(dice: Dice, helpers: Helpers) -> tuple[list[str], set[str]]:
    """Draw what binds names: fixtures, imports of them, other names for them, and what hides them."""
    bound: set[str] = set()
    return [_binding(dice, helpers, bound) for _ in range(dice.count(3))], bound


def _binding(dice: Dice, helpers: Helpers, bound: set[str]) -> str:
    name = dice.pick(*NAMES)
    match dice.pick("fixture", "fixture", "plain", "alias", "delete", "import", "import"):
        case "alias" if bound:
            bound.add(name)
            return f"{name} = {dice.pick(*sorted(bound - {name}) or [name])}"
        case "delete" if bound:
            name = dice.pick(*sorted(bound))
            bound.discard(name)
            return f"del {name}"
        case "plain":
            bound.add(name)
            return dice.pick(f"def {name}(): ...", f"{name} = None", f"class {name}: ...")
        case "import" if helpers:
            return _import(dice, helpers, bound)
        case _:
            bound.add(name)
            return _wrapped(dice, _fixture(dice, name, ""))


def _import(dice: Dice, helpers: Helpers, bound: set[str]) -> str:
    module = dice.pick(*helpers)
    names = tuple(sorted(helpers[module].bound))
    forms = [f"import {module}", f"from {module} import *"]
    if names:
        name, other = dice.pick(*names), dice.pick(*NAMES)
        forms += [f"from {module} import {name}", f"from {module} import {name} as {other}"]
    line = dice.pick(*reversed(forms))
    if " as " in line:
        bound.add(other)
    elif line.endswith("*"):
        bound.update(helpers[module].starred)
    elif names and line.startswith("from"):
        bound.add(name)
    return dice.pick(line, f"try:\n    {line}\nexcept ImportError:\n    pass", f"if os.sep:\n    {line}")


def _wrapped(dice: Dice, text: str) -> str:
    form = dice.pick(*WRAP)
    return form.format(text if form == "{}" else indent(text, "    "))


def _fixture(dice: Dice, name: str, first: str) -> str:
    how = dice.pick(*FIXTURE)
    arguments = _arguments(dice, first)
    if dice.pick(False, False, False, True):
        other = dice.pick(*NAMES)
        return f"@pytest.fixture(name={other!r})\ndef {name}({arguments}):\n    return 1"
    return f"{how}\ndef {name}({arguments}):\n    return 1"


def _arguments(dice: Dice, first: str, names: tuple[str, ...] | None = None) -> str:
    chosen = [*(dice.some(NAMES) if names is None else names)]
    if chosen and names is None and dice.pick(False, False, False, True):
        chosen[-1] = dice.pick(f"{chosen[-1]}=1", f"*, {chosen[-1]}")
    return ", ".join([*([first] if first else []), *chosen])


def _test(dice: Dice, name: str, first: str) -> str:
    names = dice.some(NAMES, 3)
    lines: list[str] = []
    injected: list[str] = []
    match dice.pick("", "", "", "usefixtures", "parametrize", "indirect", "patch", "skip"):
        case "usefixtures":
            lines.append(f"@pytest.mark.usefixtures({dice.pick(*NAMES)!r})")
        case "parametrize" if names:
            lines.append(
                dice.pick(
                    f"@pytest.mark.parametrize({names[0]!r}, [1, 2])",
                    f"@pytest.mark.parametrize({','.join(names)!r}, [{tuple(range(len(names)))!r}])",
                    f"@pytest.mark.parametrize({list(names)!r}, [{tuple(range(len(names)))!r}])",
                )
            )
        case "indirect" if names:
            form = dice.pick("True", f"[{names[0]!r}]")
            lines.append(f"@pytest.mark.parametrize({names[0]!r}, [1, 2], indirect={form})")
        case "patch":
            lines.append(
                dice.pick(
                    "@mock.patch('os.sep')", "@patch('os.sep')", "@patch.object(os, 'sep')", "@patch('os.sep', 'x')",
                    "@patch.dict(os.environ)", "@mock.patch('os.sep', new=1)", "@mock.patch.multiple('os', sep='x')",
                )
            )  # fmt: skip
            if lines[0] in {"@mock.patch('os.sep')", "@patch('os.sep')", "@patch.object(os, 'sep')"}:
                injected.append("mocked")
        case "skip":
            lines.append("@pytest.mark.skip")
    arguments = ", ".join([*([first] if first else []), *injected, *names])
    body = "assert True"
    if dice.pick(False, False, False, True):
        arguments += ", request" if arguments else "request"
        body = f"request.getfixturevalue({dice.pick(*NAMES)!r})"
    return "\n".join([*lines, f"def {name}({arguments}):", f"    {body}"])


def _class(dice: Dice, name: str, base: str = "") -> str:
    parts: list[str] = []
    lines: list[str] = []
    if marks := dice.some(NAMES, 1):
        lines.append(f"@pytest.mark.usefixtures({marks[0]!r})")
    is_unittest = not base and dice.pick(False, False, False, False, True)
    parts += [_fixture(dice, dice.pick(*NAMES), "self") for _ in range(dice.count(2))]
    if is_unittest:
        parts.append(f"def test_{name.lower()}(self):\n    assert True")
        base = "unittest.TestCase"
    else:
        parts += [_test(dice, f"test_{dice.pick('0', '1')}", "self") for _ in range(dice.count(2))]
        if dice.pick(False, False, False, True):
            parts.append(f"class TestInner:\n{indent(_test(dice, 'test_inner', 'self'), '    ')}")
        if dice.pick(False, False, False, True):
            parts.append("@staticmethod\n" + _test(dice, "test_static", ""))
    lines.append(f"class {name}({base}):" if base else f"class {name}:")
    return "\n".join([*lines, indent("\n".join(parts) or "pass", "    ")])
