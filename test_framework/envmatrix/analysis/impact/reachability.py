"""Find all parts of files that may behave differently if one does, each with the way that leads there."""

from __future__ import annotations

import re
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

from envmatrix.analysis.impact.import_graph import Link, ModuleFiles, make_import_graph
from envmatrix.analysis.impact.project_source import ProjectSource
from envmatrix.analysis.source.facts import Class, Import
from envmatrix.analysis.source.parts.file_parts import TOP, UNREAD, FilePart, FileVersion, PartImport, decode

_PLAIN = re.compile(
    r"(?:object|Protocol|Generic|BaseModel|BaseSettings|Struct)$|.*(?:Error|Exception|Warning)$|(?:dict|list|str|int|float|tuple|set)$"
)
"""Bases from elsewhere that keep no list of what is made of them."""


_READ = re.compile(rb"\b(?:get_type_hints|__annotations__|get_annotations)\b")
_READ_WORDS = b"get_type_hints", b"_annotations"
"""Words of which each match has one, and which are found sooner."""
_Names: TypeAlias = Mapping[str, Sequence[str]]
_DEEPEST = 10
"""Bases of bases that are followed."""


class Node(NamedTuple):
    """A part of a file; or a name in it that is another file's part."""

    path: str
    name: str


class Step(NamedTuple):
    """One step of the way from a changed part to what it may change."""

    how: str
    """`used by`, `imported by`, `named in`, `run by` … what follows."""
    user: str
    """The part or the file that is reached, as messages name it."""

    def __str__(self) -> str:
        return f"{self.how} {self.user}"


class Reachability:
    """Which part of which file uses which; files are read as they are needed."""

    def __init__(self, tree: ProjectSource, gone: Sequence[str] = ()) -> None:
        self._tree = tree
        self._finder = ModuleFiles(tree.find, tree.modules, gone)
        self._graph = make_import_graph(tree.modules, self._finder, tree.source, tree.scripts, tree.plugins)
        self._versions: dict[str, FileVersion] = {}
        self._imported: dict[tuple[str, Import], Sequence[str]] = {}
        self._imported_names: dict[str, dict[str, list[PartImport]]] = {}
        self._used_names: dict[str, tuple[_Names, Mapping[str, Sequence[tuple[str, str]]]]] = {}
        self._files_by_name: dict[str, set[str]] = defaultdict(set)
        self._not_indexed = dict.fromkeys(tree.modules)
        self._wholes: dict[str, Sequence[tuple[Node, Step | None]]] = {}

    def read(self, path: str) -> FileVersion:
        """Return a file's parts."""
        if (known := self._versions.get(path)) is None:
            module = self._tree.modules.get(path)
            known = UNREAD if module is None or module.unread else decode(module.parts)
            self._versions[path] = known
        return known

    def part(self, node: Node) -> FilePart | None:
        """Return the part that a node is; None for a name of another file's."""
        return self.read(node.path).parts.get(node.name)

    def reach(
        self, seeds: Iterable[Node], is_end: Callable[[Node], bool] = lambda _: False
    ) -> Iterator[tuple[Node, tuple[Step, ...]]]:
        """Yield the parts that may behave differently if some parts do, nearest first, each with the way there.

        No way leads on from an end.
        """
        ways: dict[Node, tuple[Step, ...]] = dict.fromkeys(seeds, ())
        waiting = deque(ways)
        while waiting:
            here = waiting.popleft()
            yield here, ways[here]
            for node, how in () if is_end(here) else self._users(here):
                if node not in ways:
                    ways[node] = (*ways[here], how) if how is not None else ways[here]
                    waiting.append(node)

    def _users(self, node: Node) -> Iterator[tuple[Node, Step | None]]:
        path, name = node
        part = self.read(path).parts.get(name)
        if part is not None and self._is_asked_by_pytest(node, part):
            yield from self._of_any(path)
            return
        if name == TOP:
            yield from self._of_top(path)
        else:
            yield from self._of_name(node, part)
        yield from self._of_any(path)
        yield from self._of_computed(path)

    def _of_top(self, path: str) -> Iterator[tuple[Node, Step | None]]:
        """Yield the parts that import a file, and its submodules."""
        for inside in self._graph.members.get(path, ()):
            yield Node(inside, TOP), Step("the package of", inside)
        for importer in self._graph.importers.get(path, ()):
            read = self.read(importer)
            found = [
                part.name
                for part in read.parts.values()
                if any(self._imports(importer, each, path) for each in part.imports)
            ]
            lent = [each.name or TOP for each in read.typing if self._imports(importer, each, path)]
            if read.unread or (lent and not read.lends and importer in self._graph.computing):
                found.append(TOP)
            elif lent and read.lends:
                found += lent
            for each_name in found:
                yield Node(importer, each_name), Step("imported by", _user(importer, each_name))

    def _imports(self, importer: str, each: PartImport, path: str) -> bool:
        return path in self._targets(importer, each.what)

    def _targets(self, importer: str, each: Import) -> Sequence[str]:
        if (known := self._imported.get((importer, each))) is None:
            known = self._imported[importer, each] = tuple(self._finder.imported(importer, each))
        return known

    def _is_asked_by_pytest(self, node: Node, part: FilePart) -> bool:
        """Return whether only pytest calls a function: a fixture or a test."""
        place = node.path, part.line
        return part.kind == "function" and (place in self._tree.fixture_places or place in self._tree.tests_by_place)

    def _of_name(self, node: Node, part: FilePart | None) -> Iterator[tuple[Node, Step | None]]:
        path, name = node
        if part is not None and (handed_to := self._handed_to(path, part)) is not None:
            yield Node(path, handed_to), None
        holder, _, last = name.rpartition(".")
        if holder:
            yield Node(path, holder), None
            if part is None or part.kind == "function":
                return  # who can call a method has named the class, or was given what somebody made who has
        seen = self._graph.sees(path)
        for file in self._files_with(last, seen):
            for user in self._users_in(file, last, path, seen):
                yield Node(file, user), Step("used by", _user(file, user, path))
            for bound in self._aliases(file).get(last, ()) if file != path else ():
                if bound.name != last and self._leads_to(file, bound, seen):
                    yield Node(file, bound.name), None
        if part is None:  # it is lent, or gone: importing it imports another file, or fails
            for importer in self.importing(node):
                yield importer, Step("imported by", _user(*importer))

    def _handed_to(self, path: str, part: FilePart) -> str | None:
        """Return the part whose users may call this one without naming it; None if there is none."""
        if part.owner and part.owner in self.read(path).bound:
            return part.owner
        is_listed = part.kind == "class" and self._is_listed(path, part)
        return TOP if part.is_registered or part.is_implicit or part.owner or is_listed else None

    def importing(self, node: Node) -> Iterator[Node]:
        """Yield the parts that import a name of a file."""
        path, name = node
        for importer in self._graph.importers.get(path, ()):
            for part in self.read(importer).parts.values():
                if any(
                    each.what.attribute in {name, "*"} and self._imports(importer, each, path) for each in part.imports
                ):
                    yield Node(importer, part.name)

    def _files_with(self, name: str, seen: Mapping[str, int]) -> Sequence[str]:
        """Return those of some files that use or import a name, in their order."""
        word = name.encode()
        # A look at the bytes costs far less than reading them.
        for file in [each for each in self._not_indexed if each in seen and word in self._tree.source(each)]:
            del self._not_indexed[file]
            for each in (*self._uses(file)[0], *self._uses(file)[1], *self._aliases(file)):
                self._files_by_name[each].add(file)
        return sorted(seen.keys() & self._files_by_name.get(name, set()), key=seen.__getitem__)

    def _users_in(self, file: str, name: str, path: str, seen: Mapping[str, int]) -> Iterator[str]:
        """Yield the parts of a file that use a name that another file, or the same, defines."""
        by_name, by_attribute = self._uses(file)
        for before, user in by_attribute.get(name, ()):
            if any(
                self._leads_to(file, each, seen) or self._holds(file, each, path) for each in self._bound(file, before)
            ):
                yield user
        if users := by_name.get(name):
            bound = [*self._aliases(file).get(name, ()), *self._aliases(file).get("*", ())]
            if file == path or any(self._leads_to(file, each, seen) for each in bound):
                yield from users

    def _leads_to(self, file: str, each: PartImport, seen: Mapping[str, int]) -> bool:
        """Return whether an import of a file may lead to one of these files."""
        return any(target in seen for target in self._targets(file, each.what))

    def _holds(self, file: str, each: PartImport, path: str) -> bool:
        """Return whether an import binds a package that a file is in: it has the file once anybody has imported that."""
        directories = (target.removesuffix("__init__.py") for target in self._targets(file, each.what))
        return any(path.startswith(directory) for directory in directories if directory.endswith("/"))

    def _bound(self, file: str, name: str) -> Iterator[PartImport]:
        """Yield the imports of a file that may bind a name."""
        for imports in self._aliases(file).values():
            yield from (each for each in imports if each.name in {name, ""})

    def _aliases(self, file: str) -> Mapping[str, Sequence[PartImport]]:
        """Map each name that a file imports, as it is called where it comes from, to its imports."""
        if (known := self._imported_names.get(file)) is None:
            read = self.read(file)
            known = self._imported_names[file] = defaultdict(list)
            for each in (*(each for part in read.parts.values() for each in part.imports), *read.typing):
                known[each.what.attribute or each.name].append(each)
        return known

    def _uses(self, file: str) -> tuple[_Names, Mapping[str, Sequence[tuple[str, str]]]]:
        """Map names to the parts of a file that use them, and attributes to these, each after what its dots begin with."""
        if (known := self._used_names.get(file)) is None:
            names: dict[str, list[str]] = defaultdict(list)
            attributes: dict[str, list[tuple[str, str]]] = defaultdict(list)
            for part in self.read(file).parts.values():
                for name in part.names | part.hints if self._reads_hints else part.names:
                    names[name].append(part.name)
                for before, attribute in part.attributes:
                    attributes[attribute].append((before, part.name))
            known = self._used_names[file] = names, attributes
        return known

    @cached_property
    def _reads_hints(self) -> bool:
        """Return whether code of the project itself reads annotations: then those of any function."""
        sources = map(self._tree.source, self._tree.modules)
        return any(any(word in source for word in _READ_WORDS) and _READ.search(source) for source in sources)

    def _is_listed(self, path: str, part: FilePart, depth: int = 0) -> bool:
        """Return whether a base may register its subclasses, and so use one without naming it."""
        for base in part.bases:
            last = base.partition("[")[0].rpartition(".")[2]
            if _PLAIN.match(last):
                continue
            held = [each for each in self._classes.get(last, ()) if path in self._graph.sees(each)]
            if held and depth < _DEEPEST:
                if self._has_subclasses or any(self._lists(each, last, depth) for each in held):
                    return True
            elif not self._is_standard(path, base):
                return True
        return False

    def _lists(self, path: str, name: str, depth: int) -> bool:
        parts = self.read(path).parts
        base = parts.get(name)
        if base is None or base.kind != "class" or f"{name}.__init_subclass__" in parts:
            return True
        return base.is_registered or self._is_listed(path, base, depth + 1)

    @cached_property
    def _classes(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for path, module in self._tree.modules.items():
            for binding in module.body:
                if isinstance(binding.to, Class):
                    found.setdefault(binding.name, []).append(path)
        return found

    @cached_property
    def _has_subclasses(self) -> bool:
        return any(b"__subclasses__" in self._tree.source(path) for path in self._tree.modules)

    def _is_standard(self, path: str, base: str) -> bool:
        first = base.partition("[")[0].partition(".")[0]
        for each in self.read(path).parts[TOP].imports:
            if each.name == first:
                return each.what.module.partition(".")[0] in sys.stdlib_module_names
        return False

    def _of_any(self, path: str) -> Iterator[tuple[Node, Step | None]]:
        """Yield the parts that run a file, name it in a text, or pass the module on: they may use any part of it."""
        if (known := self._wholes.get(path)) is None:
            known = self._wholes[path] = tuple(dict.fromkeys(self._whole(path)))
        yield from known

    def _whole(self, path: str) -> Iterator[tuple[Node, Step | None]]:
        for link in self._graph.namers.get(path, ()):
            yield from self._named(link)
        for importer in self._graph.importers.get(path, ()):
            read = self.read(importer)
            names = {
                each.name
                for part in read.parts.values()
                for each in part.imports
                if self._is_module(importer, each, path)
            }
            for part in read.parts.values() if names else ():
                if not names.isdisjoint(part.values):
                    yield Node(importer, part.name), Step("used by", _user(importer, part.name))

    def _of_computed(self, path: str) -> Iterator[tuple[Node, Step | None]]:
        for prefix, node in self._computed:
            if path.startswith(prefix) and path != node.path:
                yield node, Step("imported by", _user(*node))

    def _is_module(self, importer: str, each: PartImport, path: str) -> bool:
        """Return whether an import binds a module, or a package that has it."""
        what = each.what
        if not what.attribute:
            return path in self._targets(importer, what)
        joined = f"{what.module}{'' if what.module.endswith('.') else '.'}{what.attribute}"
        return path in self._targets(importer, what) and path in tuple(self._finder.module(importer, joined))

    def _named(self, link: Link) -> Iterator[tuple[Node, Step | None]]:
        read = self.read(link.path)
        for line in link.lines:
            if line not in read.import_lines:
                name = read.at(line).name
                yield Node(link.path, name), Step(link.how, _user(link.path, name))

    @cached_property
    def _computed(self) -> Sequence[tuple[str, Node]]:
        """Return the parts that import modules by computed names, and the directory of these."""
        found = []
        for path in self._graph.computing:
            read = self.read(path)
            for part in read.parts.values():
                for prefix in part.computed:
                    if read.lends and part.name == "__getattr__":
                        continue  # what it lends is listed for the type checker
                    if prefix is None and (read.typing or self._names_modules(path)):
                        continue  # from a table, which names them
                    found.append((self._directory(path, prefix), Node(path, part.name)))
        return found

    def _names_modules(self, path: str) -> bool:
        return any(
            link.path == path and link.how == "named in" and self._real(link)
            for links in self._graph.namers.values()
            for link in links
        )

    def _real(self, link: Link) -> bool:
        return any(line not in self.read(link.path).import_lines for line in link.lines)

    def _directory(self, path: str, prefix: str | None) -> str:
        if prefix is not None and (package := prefix.rpartition(".")[0]):
            for file in self._finder.module(path, package):
                return file.removesuffix("__init__.py")
        return path[: path.rfind("/") + 1]


def _user(path: str, name: str, here: str = "") -> str:
    """Return the words for a part; its own file, if that is `here`, is left out."""
    if name == TOP:
        return path
    return name if path == here else f"{name} of {path}"
