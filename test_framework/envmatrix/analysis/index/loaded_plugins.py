"""The plugins that a project's files load, and what these plugins load and register in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from envmatrix.analysis.index.project_context import ProjectContext
from envmatrix.analysis.source.facts import Binding, Class, Constant, Name, Sequence
from envmatrix.analysis.source.names import Definition, Lost, Names
from envmatrix.analysis.source.source_files import SourceFiles


class LoadedPlugins:
    """Follows plugins by the names that files give of others.

    Args:
        names: Resolves names.
        sources: The facts of files.
        find: Returns the path of a module by its name, as seen from a file.
    """

    def __init__(self, names: Names, sources: SourceFiles, find: Callable[[str, str], str | None]) -> None:
        self._names = names
        self._sources = sources
        self._find = find

    def of(self, project: ProjectContext) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """Return name and file of each plugin of a project, and the names of those that are not found.

        Plugins that its files, or other plugins, name are among them.
        """
        pending = [*project.plugins]
        lost: list[str] = []

        def load(named: Iterable[tuple[str, str]]) -> None:
            for where, name in named:
                is_builtin = name in project.builtin
                if file := self._find(where, f"_pytest.{name}" if is_builtin else name):
                    pending.append(("pytest" if is_builtin else name, file))
                else:
                    lost.append(name)

        load(name for path in (*project.conftests, *project.test_files) for name in self._plugins_named_in(path))
        load(name for path in project.conftests for name in self._registered_by(path))
        pending += [("", path) for path in project.conftests if any(self.classes_registered_by(path))]
        names: dict[str, str] = {}
        while pending:
            name, path = pending.pop(0)
            if path not in names:
                names[path] = name
                load(self._plugins_named_in(path))
                load(self._registered_by(path))
        return tuple((name, path) for path, name in names.items()), tuple(lost)

    def _plugins_named_in(self, path: str) -> list[tuple[str, str]]:
        """Return the plugins of a file's `pytest_plugins`, each with the file that names it."""
        if not self._sources.names_plugins(path):
            return []
        if "pytest_plugins" not in self._names.namespace(path).names:
            return []
        match self._names.literal(path, Name("pytest_plugins")):
            case Constant(value=str(name)):
                return [(path, name)]
            case Sequence(items=items):
                return [
                    (path, item.value) for item in items if isinstance(item, Constant) and isinstance(item.value, str)
                ]
            case _:
                return []

    def classes_registered_by(self, path: str) -> Iterator[tuple[str, Class]]:
        """Yield the classes whose instances a plugin registers: all of its own where it registers a variable."""
        names = self._names.namespace(path).names
        for name in self._sources.module(path).registers:
            match self._names.resolve_skimming(path, name):
                case Definition(path=where, binding=Binding(to=Class() as node)):
                    yield where, node
                case Lost():
                    nodes = (bound[0].binding.to for bound in names.values())
                    yield from ((path, node) for node in nodes if isinstance(node, Class))
                case _:
                    pass

    def _registered_by(self, path: str) -> list[tuple[str, str]]:
        """Return the modules that a plugin registers or loads itself, each with the file that says so."""
        module = self._sources.module(path)
        local = {each.attribute or each.module: each for each in module.imports}
        named = []
        for name in module.registers:
            imported = local.get(name)
            named.append((path, f"{imported.module}.{imported.attribute}" if imported and imported.attribute else name))
        return [each for each in named if self._find(*each)]
