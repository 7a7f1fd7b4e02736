"""Which files a file reaches: by imports, wherever they stand, and by names of modules that stand in its texts."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from test_framework.analysis.source import Import, Module

_DOTTED = re.compile(rb"""["']([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)""")
_FILE = re.compile(r"\.(?:py|pyi|toml|ini|cfg|md|rst|txt|json|jsonl|ya?ml|xml|html|svg|sqlite|lock|log)$")
_RUN = re.compile(rb"""["'\s]-m(?:["']\s*,\s*["']|\s+)([A-Za-z_][\w.]*)""")


@dataclass(frozen=True, slots=True)
class Link:
    """How one file reaches another."""

    path: str
    """The file that does."""
    how: str
    """As a participle: `imported by`."""


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds a module's file: those of the tree, and those that were there before."""

    find: Callable[[str, str], str | None]
    """The path of a module by its absolute or relative name, as seen from a file."""
    files: Collection[str]
    """Every Python file of the tree."""
    gone: Sequence[str] = ()
    """Paths of modules that are no more: an import of one is still an import of it."""

    def imported(self, path: str, each: Import) -> Iterator[str]:
        """Yield the files that an import reads."""
        yield from self._module(path, each.module)
        if each.attribute not in {"", "*"}:
            yield from self._module(path, f"{each.module}{'' if each.module.endswith('.') else '.'}{each.attribute}")

    def named(self, path: str, dotted: str) -> Iterator[str]:
        """Yield the file of the module that a text names, itself or by something inside of it."""
        while dotted:
            found = list(self._module(path, dotted))
            if found:
                yield from found
                return
            dotted = dotted.rpartition(".")[0]

    def run(self, path: str, dotted: str) -> Iterator[str]:
        """Yield the files that `python -m` reads first."""
        yield from self._module(path, dotted)
        yield from self._module(path, f"{dotted}.__main__")

    def _module(self, path: str, dotted: str) -> Iterator[str]:
        found = self.find(path, dotted)
        if found is not None and found in self.files:
            yield found
        elif self.gone:
            yield from self._gone(path, dotted)

    def _gone(self, path: str, dotted: str) -> Iterator[str]:
        bare = dotted.lstrip(".")
        up = len(dotted) - len(bare)
        below = "/".join([*path.split("/")[: -up or None], *bare.split(".")]) if up else bare.replace(".", "/")
        for gone in self.gone:
            module = gone.removesuffix(".py").removesuffix("/__init__")
            if module == below or (not up and module.endswith(f"/{below}")):
                yield gone


def packages(path: str, files: Collection[str]) -> Iterator[str]:
    """Yield the `__init__.py` of each package that a file is in: who imports it reads these first."""
    directory = path.rpartition("/")[0]
    if path.endswith("/__init__.py"):
        directory = directory.rpartition("/")[0]
    while directory and (init := f"{directory}/__init__.py") in files:
        yield init
        directory = directory.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Graph:
    """Who reaches a file, and how."""

    users: Mapping[str, Sequence[Link]]

    def reach(self, start: str) -> Mapping[str, tuple[Link, ...]]:
        """Map each file that reaches one, directly or not, to the shortest way there; the file itself to an empty one."""
        ways: dict[str, tuple[Link, ...]] = {start: ()}
        waiting = deque([start])
        while waiting:
            here = waiting.popleft()
            for link in self.users.get(here, ()):
                if link.path not in ways:
                    ways[link.path] = (*ways[here], link)
                    waiting.append(link.path)
        return ways


def make_graph(
    modules: Mapping[str, Module],
    finder: Finder,
    source: Callable[[str], bytes],
    scripts: Mapping[str, str],
) -> Graph:
    """Read who reaches whom.

    Args:
        modules: The facts of each file of the tree.
        finder: Finds the file of a module.
        source: The bytes of a file.
        scripts: Command → the file that it runs: `"shop list"` and `["shop", "list"]` run it.
    """
    users: dict[str, dict[str, Link]] = {}
    held = modules.keys() | set(finder.gone)
    tops = {part for path in (*modules, *finder.gone) for part in path.removesuffix(".py").split("/")}
    commands = {command.encode(): file for command, file in scripts.items()}
    names = b"|".join(map(re.escape, commands))
    called = re.compile(rb"""["'](%s) +\w|[\[(]\s*["'](%s)["']\s*,\s*["']""" % (names, names)) if commands else None
    for path, module in modules.items():
        for target in packages(path, held):
            users.setdefault(target, {}).setdefault(path, Link(path, "the package of"))
        for each in module.imports:
            if each.module.startswith(".") or each.module.partition(".")[0] in tops:
                _add(users, path, "imported by", finder.imported(path, each))
        text = source(path)
        for dotted in {match[1].decode() for match in _DOTTED.finditer(text)}:
            if dotted.partition(".")[0] in tops and not _FILE.search(dotted):
                _add(users, path, "named in", finder.named(path, dotted))
        for dotted in {match[1].decode() for match in _RUN.finditer(text)}:
            if dotted.partition(".")[0] in tops:
                _add(users, path, "run by", finder.run(path, dotted))
        if called is not None:
            _add(users, path, "run by", (commands[match[1] or match[2]] for match in called.finditer(text)))
    return Graph({path: tuple(links.values()) for path, links in users.items()})


def _add(users: dict[str, dict[str, Link]], path: str, how: str, targets: Iterable[str]) -> None:
    for target in targets:
        if target != path:
            users.setdefault(target, {}).setdefault(path, Link(path, how))
