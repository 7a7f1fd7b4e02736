"""Small packages, generated: functions that use one another in every way that we know of, and tests that can be run."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from hypothesis import strategies as st

WAYS = {
    "from": ("from pkg.{module} import {name}", "", "{name}()"),
    "alias": ("from pkg.{module} import {name} as other_{name}", "", "other_{name}()"),
    "module": ("from pkg import {module}", "", "{module}.{name}()"),
    "dotted": ("import pkg.{module}", "", "pkg.{module}.{name}()"),
    "relative": ("from .{module} import {name}", "", "{name}()"),
    "star": ("from pkg.{module} import *", "", "{name}()"),
    "lazy": ("", "from pkg.{module} import {name} as late", "late()"),
    "lazy module": ("", "from pkg import {module}", "{module}.{name}()"),
    "getattr": ("from pkg import {module}", "", "getattr({module}, '{name}')()"),
    "put together": ("from pkg import {module}", "", "getattr({module}, {spelt})()"),
    "import_module": ("from importlib import import_module", "", "import_module('pkg.{module}').{name}()"),
    "computed": (
        "from importlib import import_module",
        "module_of_{name} = '{module}'",
        "getattr(import_module(f'pkg.{{module_of_{name}}}'), {spelt})()",
    ),
    "table": ("from pkg.{module} import {name}\nTABLE_{name} = {{'key': {name}}}", "", "TABLE_{name}['key']()"),
    "at import": ("from pkg.{module} import {name}\nMADE_{name} = {name}()", "", "MADE_{name}"),
    "effect": (
        "from pkg.{module} import {name}\nfrom pkg import tools\ntools.SEEN.update(made={name}())",
        "",
        "tools.SEEN['made']",
    ),
    "default": ("from pkg.{module} import {name}\ndef with_{name}(x={name}()):\n    return x", "", "with_{name}()"),
    "class": ("from pkg.{module} import C{name}", "", "C{name}().run()"),
    "base": ("from pkg import {module}\nclass D{name}({module}.C{name}): ...", "", "D{name}().run()"),
    "property": ("from pkg.{module} import C{name}", "", "C{name}().value"),
    "handed on": ("from pkg import {module}, tools", "", "tools.ask({module}, {spelt})"),
    "registered": ("from pkg import {module}, tools", "", "tools.REGISTRY[{spelt}]()"),
    "listed": ("from pkg import {module}, tools", "", "tools.Listed.made('L' + {spelt})"),
    "listed and named": ("from pkg.{module} import L{name}", "", "L{name}().run()"),
    "lent": ("import pkg.shop as shop", "", "shop.{name}()"),
    "lent by import": ("", "from pkg.shop import {name} as lent", "lent()"),
}
"""How a function uses another: what stands above, what stands in it, the expression."""
TOOLS = """
REGISTRY = {}
SEEN = {}

def register(function):
    REGISTRY[function.__name__] = function
    return function

def ask(module, name):
    return getattr(module, name)()

class Listed:
    kinds = {}

    def __init_subclass__(cls):
        Listed.kinds[cls.__name__] = cls

    @staticmethod
    def made(name):
        return Listed.kinds[name]().run()
"""
FUNCTION = """
STEP_{name} = int({top})

{decorator}def {name}():
{inside}    return ({call}, STEP_{name}, {uses})

class C{name}:
    def run(self):
        return ("run", {run}, {name}())

    @property
    def value(self):
        return ("value", {value})

class L{name}(tools.Listed):
    def run(self):
        return ("listed", {listed})
"""
PARTS = ("top", "call", "run", "value", "listed")
"""What of a function, and of the classes beside it, can change by itself."""
CONFTEST = """
import pytest
{above}

@pytest.fixture
def given():
{inside}    return {uses}
"""


@dataclass(frozen=True)
class Use:
    """One function uses another."""

    target: int
    way: str


@dataclass(frozen=True)
class Package:
    """Functions, numbered; a function uses those of lower numbers."""

    functions: Sequence[Sequence[Use]]
    registered: frozenset[int]
    tests: Sequence[Sequence[Use]]
    fixture: Sequence[Use]

    def files(self, changed: int | None = None, part: str = "call") -> dict[str, str]:
        """Its files, one function otherwise than before, or one of the methods beside it."""
        files = {"pkg/__init__.py": "", "pkg/tools.py": TOOLS}
        for first in range(0, len(self.functions), 2):
            texts, tops = [], ["from pkg import tools"]
            for number in range(first, min(first + 2, len(self.functions))):
                above, inside, uses = _written(self.functions[number])
                tops += above
                decorator = "@tools.register\n" if number in self.registered else ""
                shown = dict.fromkeys(PARTS, 0) | ({part: 1} if number == changed else {})
                texts.append(
                    FUNCTION.format(decorator=decorator, name=_name(number), inside=inside, uses=uses, **shown)
                )
            files[f"pkg/{_module(first)}.py"] = "\n".join([*tops, *texts])
        lent = "\n".join(f"    from pkg.{_module(n)} import {_name(n)}" for n in range(len(self.functions)))
        homes = {_name(n): _module(n) for n in range(len(self.functions))}
        files["pkg/shop.py"] = (
            "import importlib\nfrom typing import TYPE_CHECKING\n\n"
            f"if TYPE_CHECKING:\n{lent}\n\n_HOMES = {homes}\n\n"
            "def __getattr__(name):\n    if name not in _HOMES:\n        raise AttributeError(name)\n"
            "    return getattr(importlib.import_module(f'pkg.{_HOMES[name]}'), name)\n"
        )
        above, inside, uses = _written(self.fixture, top=True)
        files["tests/conftest.py"] = CONFTEST.format(above="\n".join(above), inside=inside, uses=f"({uses})")
        for number, made in enumerate(self.tests):
            above, inside, uses = _written(made, top=True)
            asked = "given" if number % 2 else ""
            files[f"tests/test_{number}.py"] = "\n".join(above) + (
                f"\n\ndef test_{number}({asked}):\n{inside}    return ({uses} {asked})\n\ndef test_alone():\n    return 1\n"
            )
        return files


def _name(number: int) -> str:
    return f"f{number}x"


def _module(number: int) -> str:
    return f"m{number // 2}"


def _written(uses: Sequence[Use], *, top: bool = False) -> tuple[list[str], str, str]:
    above, inside, expressions = [], "", []
    for use in uses:
        name = _name(use.target)
        words = {"module": _module(use.target), "name": name, "spelt": f"'{name[:1]}' + '{name[1:]}'"}
        first, within, expression = (
            part.format(**words) for part in WAYS["from" if top and use.way == "relative" else use.way]
        )
        above.append(first)
        inside += f"    {within}\n" if within else ""
        expressions.append(f"{expression}, ")
    return above, inside, "".join(expressions)


@st.composite
def packages(draw: st.DrawFn) -> Package:
    """Packages of a few functions and tests."""
    size = draw(st.integers(4, 8))

    def uses(below: int, most: int) -> Sequence[Use]:
        # A module is imported by those after it alone: Python, too, would refuse half of a circle.
        use = st.builds(Use, st.integers(0, max(below - 1, 0)), st.sampled_from(sorted(WAYS)))
        return draw(st.lists(use, max_size=most)) if below > 0 else []

    functions = [uses(number // 2 * 2, 2) for number in range(size)]
    tests = [uses(size, 2) for _ in range(4)]
    fixture = uses(size, 1)
    wanted = {use.target for made in (*functions, *tests, fixture) for use in made if use.way == "registered"}
    return Package(functions, frozenset(wanted), tests, fixture)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports what is in memory."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        below = name.replace(".", "/")
        for file in (f"{below}/__init__.py", f"{below}.py"):
            if file in self._files:
                return importlib.util.spec_from_loader(name, self, origin=file, is_package=file.endswith("__init__.py"))
        return None

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        exec(self._files[str(module.__spec__.origin)], module.__dict__)


@contextmanager
def _importing(files: Mapping[str, str]) -> Iterator[None]:
    finder = _Finder(files)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name == "pkg" or name.startswith("pkg.")]:
            del sys.modules[name]


def outcomes(files: Mapping[str, str]) -> dict[str, str]:
    """What each test comes to; its process imports its own file and the conftest alone."""
    found = {}
    for path in files:
        if not path.startswith("tests/test_"):
            continue
        with _importing(files):
            conftest, module = {"__name__": "conftest"}, {"__name__": "test"}
            exec(files["tests/conftest.py"].replace("@pytest.fixture", ""), conftest)
            exec(files[path], module)
            for name in [name for name in module if name.startswith("test_")]:
                test = module[name]
                asked = [conftest["given"]()] if test.__code__.co_argcount else []
                found[f"{path}::{name}"] = repr(test(*asked))
    return found
