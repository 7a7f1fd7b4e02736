"""The graph of files that import each other or name each other in a text."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from envmatrix.analysis.source.facts import Import, Module


class _Pattern(NamedTuple):
    """What is looked for in the text of a file."""

    regex: re.Pattern[bytes]
    words: tuple[bytes, ...] = (b"",)
    """Each match has one of them; to look for these first costs a tenth."""

    def finditer(self, text: bytes) -> Iterable[re.Match[bytes]]:
        """Return the matches in a text."""
        return self.regex.finditer(text) if any(word in text for word in self.words) else ()


_DOTTED = _Pattern(re.compile(rb"""["']([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)"""))
_FILE = re.compile(r"\.(?:py|pyi|toml|ini|cfg|md|rst|txt|json|jsonl|ya?ml|xml|html|svg|sqlite|lock|log)$")
_RUN = _Pattern(re.compile(rb"""["'\s]-m(?:["']\s*,\s*["']|\s+)([A-Za-z_][\w.]*)"""), (b"-m",))
_IMPORT = _Pattern(
    # The words of Python's own imports; a look behind each is quicker than one before it.
    re.compile(rb"""(?:from(?<!\wfrom)|import(?<!\wimport))[ ]+([A-Za-z_][\w.]*)""")
)
_LOADED = _Pattern(
    re.compile(rb"""(?:import_module|__import__|importorskip|import_plugin)\(\s*["']([A-Za-z_][\w.]*)"""),
    (b"import_module", b"__import__", b"importorskip", b"import_plugin"),
)
_PLUGINS = _Pattern(re.compile(rb"""pytest_plugins[^=\n]*=\s*(\[[^\]]*\]|\([^)]*\)|[^\n]*)"""))
_WORD = re.compile(rb"""["']([A-Za-z_][\w.]*)["']""")
_SCRIPT = _Pattern(re.compile(rb"""["']((?:[\w.-]+/)*[A-Za-z_]\w*\.py)["']"""), (b'.py"', b".py'"))
_COLLECTED = re.compile(r"conftest\.py$|__init__\.py$|__main__\.py$|test_")
"""What stands in a text as the name of a file of a project that a test writes."""
_PYTEST = _Pattern(
    re.compile(rb"""runpytest|inline_run|-m["'\s,]+pytest\b|["']pytest(?:["']\s*,|\s+[\w-])|\bpytest\.main\b"""),
    (b"runpytest", b"inline_run", b"-m", b'"pytest', b"'pytest", b"pytest.main"),
)
_COMPUTED = (b'"-m"', b"'-m'", b"import_module", b"__import__", b"iter_modules", b"walk_packages")


@dataclass(frozen=True, slots=True)
class Link:
    """A way in which one file reaches another."""

    path: str
    """The file that does."""
    how: str
    """`named in`, `run by`, `loaded by the pytest of`."""
    lines: tuple[int, ...] = ()
    """Where, of what stands in a text."""


@dataclass(frozen=True, slots=True)
class ModuleFiles:
    """Finds the file of a module in the tree, deleted files included."""

    find: Callable[[str, str], str | None]
    """The path of a module by its absolute or relative name, as seen from a file."""
    files: Collection[str]
    """Every Python file of the tree."""
    gone: Sequence[str] = ()
    """Paths of modules that are no more: an import of one is still an import of it."""

    def imported(self, path: str, each: Import) -> Iterator[str]:
        """Yield the files that an import reads."""
        yield from self.module(path, each.module)
        if each.attribute not in {"", "*"}:
            yield from self.module(path, f"{each.module}{'' if each.module.endswith('.') else '.'}{each.attribute}")

    def named(self, path: str, dotted: str) -> Iterator[str]:
        """Yield the file of the module that a text names, itself or by something inside of it."""
        while dotted:
            found = list(self.module(path, dotted))
            if found:
                yield from found
                return
            dotted = dotted.rpartition(".")[0]

    def run(self, path: str, dotted: str) -> Iterator[str]:
        """Yield the files that `python -m` reads first."""
        yield from self.module(path, dotted)
        yield from self.module(path, f"{dotted}.__main__")

    def module(self, path: str, dotted: str) -> Iterator[str]:
        """Yield the file of a module, or where it was."""
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
    """Yield the `__init__.py` of each package that a file is in: importing the file runs these first."""
    directory = path.rpartition("/")[0]
    if path.endswith("/__init__.py"):
        directory = directory.rpartition("/")[0]
    while directory and (init := f"{directory}/__init__.py") in files:
        yield init
        directory = directory.rpartition("/")[0]


@dataclass(frozen=True)
class ImportGraph:
    """The files that import or name each file."""

    importers: Mapping[str, Sequence[str]]
    """Those whose source has an import of it, wherever that stands."""
    members: Mapping[str, Sequence[str]]
    """Of a package: the files in it, however deep."""
    namers: Mapping[str, Sequence[Link]]
    """Those that name it in a text, or run it."""
    computing: Sequence[str]
    """Files that import modules by computed names."""

    def sees(self, path: str) -> Mapping[str, int]:
        """Return the files that import a file, directly or not, each with its place among them; itself is the first."""
        if (known := self._seen.get(path)) is None:
            known = self._seen[path] = {path: 0}
            waiting = deque(known)
            while waiting:
                here = waiting.popleft()
                for each in (*self.importers.get(here, ()), *self.members.get(here, ())):
                    if each not in known:
                        known[each] = len(known)
                        waiting.append(each)
        return known

    @cached_property
    def _seen(self) -> dict[str, dict[str, int]]:
        return {}


def make_import_graph(
    modules: Mapping[str, Module],
    finder: ModuleFiles,
    source: Callable[[str], bytes],
    scripts: Mapping[str, str],
    plugins: Iterable[str] = (),
) -> ImportGraph:
    """Return the graph of a tree.

    Args:
        modules: The facts of each file of the tree.
        finder: Finds the file of a module.
        source: The bytes of a file.
        scripts: Command → the file that it runs: `"shop list"` and `["shop", "list"]` run it.
        plugins: Files that a pytest loads which a file starts.
    """
    paths = modules.keys() | set(finder.gone)
    members: dict[str, list[str]] = {}
    importers: dict[str, dict[str, None]] = {}
    texts = _Texts(paths, finder, scripts, tuple(plugins))
    computing = []
    for path, module in modules.items():
        for target in packages(path, paths):
            members.setdefault(target, []).append(path)
        for each in module.imports:
            if each.module.startswith(".") or each.module.partition(".")[0] in texts.tops:
                for target in finder.imported(path, each):
                    if target != path:
                        importers.setdefault(target, {})[path] = None
        text = source(path)
        texts.read(path, text)
        if any(word in text for word in _COMPUTED):
            computing.append(path)
    return ImportGraph({path: tuple(found) for path, found in importers.items()}, members, texts.links(), computing)


class _Texts:
    """The modules, scripts and commands that texts of files name."""

    def __init__(
        self, paths: Collection[str], finder: ModuleFiles, scripts: Mapping[str, str], plugins: Sequence[str]
    ) -> None:
        self.tops = {part for path in paths for part in path.removesuffix(".py").split("/")}
        self._finder = finder
        self._plugins = plugins
        self._found: dict[str, dict[tuple[str, str], list[int]]] = {}
        self._commands = {command.encode(): file for command, file in scripts.items()}
        names = b"|".join(map(re.escape, self._commands))
        self._called = re.compile(
            # `parser.getgroup("shop", "…")` is pytest's, and runs nothing.
            rb"""["'](%s) +\w|(?<!getgroup)[\[(]\s*["'](%s)["']\s*,\s*["']""" % (names, names)
        )
        self._files: dict[str, list[str]] = {}
        for path in paths:
            name = path.rpartition("/")[2]
            if not _COLLECTED.match(name):
                self._files.setdefault(name, []).append(path)

    def links(self) -> Mapping[str, Sequence[Link]]:
        """Return each named file with its links."""
        return {
            target: [Link(path, how, tuple(lines)) for (path, how), lines in found.items()]
            for target, found in self._found.items()
        }

    def read(self, path: str, text: bytes) -> None:
        """Look through the texts of a file."""
        self._read_modules(path, text)
        for match in _RUN.finditer(text):
            dotted = match[1].decode()
            if dotted.partition(".")[0] in self.tops:
                self._add(path, text, match, "run by", self._finder.run(path, dotted))
        for match in _SCRIPT.finditer(text):
            named = match[1].decode()
            files = [file for file in self._files.get(named.rpartition("/")[2], ()) if f"/{file}".endswith(f"/{named}")]
            self._add(path, text, match, "named in", files)
        for match in self._called.finditer(text) if self._commands else ():
            if not _is_argument_in_text(text, match.start()):
                self._add(path, text, match, "run by", [self._commands[match[1] or match[2]]])
        for match in _PYTEST.finditer(text) if self._plugins else ():
            self._add(path, text, match, "loaded by the pytest of", self._plugins)

    def _read_modules(self, path: str, text: bytes) -> None:
        for pattern in (_DOTTED, _IMPORT, _LOADED):  # an import in the text of another file, which a test writes
            for match in pattern.finditer(text):
                self._module(path, text, match)
        for listed in _PLUGINS.finditer(text):
            for match in _WORD.finditer(text, *listed.span(1)):
                self._module(path, text, match)

    def _module(self, path: str, text: bytes, match: re.Match[bytes]) -> None:
        dotted = match[1].decode()
        if dotted.partition(".")[0] in self.tops and not _FILE.search(dotted):
            self._add(path, text, match, "named in", self._finder.named(path, dotted))

    def _add(self, path: str, text: bytes, match: re.Match[bytes], how: str, targets: Iterable[str]) -> None:
        line = 0
        for target in targets:
            if target != path:
                line = line or text.count(b"\n", 0, match.start()) + 1
                self._found.setdefault(target, {}).setdefault((path, how), []).append(line)


def _is_argument_in_text(text: bytes, at: int) -> bool:
    """Return whether a quote opens an argument of another language's function: `"SELECT lock('shop orders')"`."""
    before = text[text.rfind(b"\n", 0, at) + 1 : at]
    other = b'"' if text[at : at + 1] == b"'" else b"'"
    return before.endswith(b"(") and before.count(other) % 2 == 1 and b"{" not in before.rpartition(other)[2]
