"""Read a project's source and its declarations. Nothing of it is imported or run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envmatrix.analysis.impact.declarations import CommandFiles, read_environments
from envmatrix.analysis.impact.environments import DeclaredEnvironment
from envmatrix.analysis.impact.project_source import ProjectSource
from envmatrix.analysis.index.build import index_of
from envmatrix.analysis.source.facts import Module
from envmatrix.analysis.source.parse_file import LARGEST
from envmatrix.environments import Project, read_toml
from envmatrix.exceptions import DeclarationError, UsageError
from envmatrix.safety.input_files import read_bytes

_FROM_THE_ROOT = "__main__.py"
"""The importing file, for modules as the project's root finds them."""


@dataclass(frozen=True, slots=True)
class ImpactInputs:
    """The inputs of an impact analysis."""

    project: Project
    environments_dir: Path
    variables: Mapping[str, str]
    """Variables that decide whether a twin stands in, and which command an environment runs."""
    python: Sequence[str]
    """Every Python file of the project, relative to its root."""
    contracts: Mapping[str, str]
    """Fixture → `module:Class` of its contract."""
    contract_version: str


def read_project(
    inputs: ImpactInputs, read_all: Callable[[Sequence[Path]], Mapping[Path, Module]]
) -> tuple[ProjectSource, tuple[DeclaredEnvironment, ...]]:
    """Read a project's source, many files at once, and its declarations.

    Raises:
        EnvmatrixError: pytest's configuration is broken, or there is no directory of declarations.
    """
    root = inputs.project.root
    every = {root / path: path for path in inputs.python}
    known = read_all(list(every))
    index = index_of(root, load_modules=lambda files: _among(known, files, read_all))
    if index.root != root:
        how = "Give the project's pyproject.toml a table [tool.pytest.ini_options]"
        raise UsageError(f"the root of pytest is {index.root}, that of the project is {root}", how)
    modules = {every[file]: module for file, module in known.items()}
    sources = functools.cache(lambda path: _bytes(root / path))
    scripts = {name: found for name, module in _scripts(root).items() if (found := index.find(_FROM_THE_ROOT, module))}
    named = {fixture: path.partition(":") for fixture, path in inputs.contracts.items()}
    tree = ProjectSource(
        index,
        modules,
        index.find,
        sources,
        suites=tuple(Path(suite).as_posix().rstrip("/") for suite in inputs.project.suites),
        plugins=frozenset(path for project in index.projects for _, path in project.plugins if path in modules)
        | frozenset(fixture.path for fixture in index.fixtures if fixture.plugin),
        scripts=scripts,
        contracts={
            fixture: (index.find(_FROM_THE_ROOT, module) or "", name) for fixture, (module, _, name) in named.items()
        },
        contract_version=inputs.contract_version,
    )
    if not inputs.environments_dir.is_dir():
        return tree, ()
    return tree, read_environments(
        inputs.environments_dir, CommandFiles(root, modules, index.find, scripts), inputs.variables
    )


def _among(
    known: Mapping[Path, Module],
    files: Sequence[Path],
    read_all: Callable[[Sequence[Path]], Mapping[Path, Module]],
) -> dict[Path, Module]:
    """Return the facts of files, of which many are known."""
    more = read_all([file for file in files if file not in known])
    return {file: known[file] if file in known else more[file] for file in files}


def _scripts(root: Path) -> Mapping[str, str]:
    """Return the commands that a project installs, each with its module."""
    file = root / "pyproject.toml"
    project = read_toml(file).data.get("project", {}) if file.is_file() else {}
    scripts = project.get("scripts", {}) if isinstance(project, dict) else {}
    return {name: str(target).partition(":")[0] for name, target in scripts.items()}


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path, LARGEST)
    except DeclarationError:
        return b""
