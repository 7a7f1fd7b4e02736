"""Read the declarations of environments, and find the files that the commands of their services start."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from envmatrix.analysis.impact.environments import DeclaredEnvironment, ServiceCommand
from envmatrix.environments import Environment, ServiceSpec, declared_names, load_file
from envmatrix.exceptions import EnvmatrixError

_DOTTED = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?::[\w.]+)?")


@dataclass(frozen=True, slots=True)
class CommandFiles:
    """Finds the files of the tree that the words of a command name."""

    root: Path
    python: Collection[str]
    """Relative to the root."""
    find: Callable[[str, str], str | None]
    """The path of a module by its name, as seen from a file."""
    scripts: Mapping[str, str]
    """Command → the file that it runs."""

    def named(self, words: Iterable[str]) -> Iterator[str]:
        """Yield the files that words name: a path, a module, a command of the project's own.

        A bare word such as `run` may be anything, unless it stands after `-m`.
        """
        for before, word in pairwise(("", *words)):
            path = os.path.normpath(word)
            if path in self.python or (not path.startswith("/") and (self.root / path).is_file()):
                yield path
            elif word in self.scripts:
                yield self.scripts[word]
            elif (dotted := _DOTTED.fullmatch(word)) and (before == "-m" or dotted[0] != dotted[1] or "." in dotted[1]):
                yield from self._module(dotted[1])

    def _module(self, dotted: str) -> Iterator[str]:
        below = dotted.replace(".", "/")
        module_file = self.find("__main__.py", dotted) or ""
        for path in (module_file, f"{below}.py", f"{below}/__init__.py"):
            if path in self.python:
                yield path
                if path.endswith("/__init__.py") and (run := f"{path.rpartition('/')[0]}/__main__.py") in self.python:
                    yield run
                return


class _Blanks(dict[str, str]):
    """Variables; the placeholders of unset ones stay, for a host does not matter here."""

    def __contains__(self, name: object) -> bool:
        return True


def read_environments(
    directory: Path, files: CommandFiles, variables: Mapping[str, str]
) -> tuple[DeclaredEnvironment, ...]:
    """Read the environments declared in a directory; one that cannot be read has the reason.

    A twin counts where it would stand in: while none of its variables is set.
    """
    return tuple(
        _environment(directory / f"{name}.toml", files, _Blanks(variables)) for name in declared_names(directory)
    )


def _environment(path: Path, files: CommandFiles, variables: Mapping[str, str]) -> DeclaredEnvironment:
    name = path.stem
    declared: tuple[str, ...] = (_relative(path, files.root),)
    try:
        environment = load_file(path, variables)
        declared += tuple(_relative(base, files.root) for base in environment.bases)
        starts = list(_starts(environment, path.name, files))
        references = {service: spec.references for service, spec in environment.services.items()}
        if environment.twin is not None:
            file = path.parent / environment.twin.environment
            declared += (_relative(file, files.root),)
            twin = load_file(file, variables)
            declared += tuple(_relative(base, files.root) for base in twin.bases)
            starts += _starts(twin, f"the twin of {name}", files)
            for service, spec in twin.services.items():
                references[service] = references.get(service, frozenset()) | spec.references
    except EnvmatrixError as error:
        return DeclaredEnvironment(name, declared, unread=error.message)
    return DeclaredEnvironment(name, declared, tuple(starts), references, environment.providers, environment.given)


def _starts(environment: Environment, by: str, files: CommandFiles) -> Iterator[ServiceCommand]:
    for spec in environment.services.values():
        if spec.command:
            written = environment.written[spec.name]["command"]  # as filled in, it may hold a secret
            yield ServiceCommand(spec.name, tuple(dict.fromkeys(files.named(_words(spec)))), " ".join(written), by)


def _words(spec: ServiceSpec) -> Iterator[str]:
    yield from spec.command
    for module in spec.preload:
        yield from ("-m", module)
    yield from (value.get_secret_value() for value in spec.env.values())


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
