"""`envmatrix impact`: which tests a diff may change, and in which environments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.indexing import reader
from envmatrix.exceptions import UsageError, nearest
from envmatrix.git import files_changed_since, full_commit, tracked_files

if TYPE_CHECKING:
    from envmatrix.analysis.impact import Evidence, FileChange, Impact
    from envmatrix.analysis.impact.project import ImpactInputs
    from envmatrix.environments import Project

CONTRACTS = {
    "real_services": "envmatrix.contracts.fields:RealServices",
    "real_llm": "envmatrix.contracts.fields:RealLLM",
}
"""Where the shipped contracts are; importing them would take as long as reading a thousand files."""


def impact(
    *,
    since: Annotated[str, typer.Option(metavar="REV", help="A commit, branch or tag; what differs from it counts.")],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Look at one kind of change alone: fixtures, environments, contract or code. May be given again.",
        ),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text, json, github or markdown.")
    ] = "text",
    environments: Annotated[Path | None, typer.Option(metavar="DIR", help="Directory of the declarations.")] = None,
    env_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="NAME=value lines that fill in ${NAME}.")
    ] = None,
) -> int:
    """Say which tests a diff may change, in which environments, and because of what. Nothing of the project is run.

    The diff is what differs between REV and the files that are there now, committed or not. What leads nowhere that
    can be seen may change everything.
    """
    from envmatrix.analysis.impact import ChangeKind
    from envmatrix.environments import Project
    from envmatrix.report import impact as report

    formats = {
        "text": report.as_text,
        "json": report.as_json,
        "github": report.as_github,
        "markdown": report.as_markdown,
    }
    for word in changes or ():
        if word not in list(ChangeKind):
            raise UsageError(f"--changes knows no {word!r}", nearest(word, [kind.value for kind in ChangeKind]))
    if format_ not in formats:
        raise UsageError(f"--format knows no {format_!r}", nearest(format_, formats))
    kinds = frozenset(map(ChangeKind, changes or ChangeKind))
    found = find_impact(Project.find(Path.cwd()), since, environments, env_file, kinds)
    typer.echo(formats[format_](found.impact, since), nl=False)
    return 0


@dataclass(frozen=True, slots=True)
class Since:
    """The impact of the changes since a commit."""

    commit: str
    impact: Impact


def find_impact(
    project: Project, since: str, environments: Path | None, env_file: Path | None, kinds: frozenset[str] | None = None
) -> Since:
    """Return the impact of the changes since a revision.

    Raises:
        UsageError: git knows no such revision.
        EnvmatrixError: pytest's configuration is broken, or a declaration is missing.
    """
    from envmatrix.analysis.impact import FileChange

    changes = tuple(FileChange(*each) for each in files_changed_since(project.root, since))
    commit = full_commit(project.root, since)
    return Since(commit, impact_of(project, changes, environments, env_file, kinds=kinds, commit=commit))


def impact_of(
    project: Project,
    changes: Iterable[FileChange],
    environments: Path | None,
    env_file: Path | None,
    *,
    kinds: frozenset[str] | None = None,
    commit: str = "",
) -> Impact:
    """Return the impact of changes on a project as it is now; `commit` names what they are since, where that is one.

    Raises:
        EnvmatrixError: pytest's configuration is broken, or a declaration is missing.
    """
    from envmatrix.analysis.impact import ChangeKind
    from envmatrix.analysis.impact import impact as impact_on
    from envmatrix.analysis.impact.project import read_project

    wanted = frozenset(ChangeKind) if kinds is None else frozenset(map(ChangeKind, kinds))
    with reader(project.root, parts=True) as read:
        tree, places = read_project(inputs_of(project, environments, env_file), read)
        evidence = {place.name: evidence_at(project.runs_dir, place.name, commit) for place in places} if commit else {}
        return impact_on(changes, tree, places, wanted, evidence)


def inputs_of(project: Project, environments: Path | None = None, env_file: Path | None = None) -> ImpactInputs:
    """Return the inputs of an analysis of a project as it is now."""
    from envmatrix.analysis.impact.project import ImpactInputs
    from envmatrix.environments import process_variables
    from envmatrix.runs.events import CONTRACT_VERSION

    return ImpactInputs(
        project,
        environments.resolve() if environments else project.environments_dir,
        process_variables(env_file),
        tracked_files(project.root, "*.py"),
        CONTRACTS | project.contracts,
        CONTRACT_VERSION,
    )


def evidence_at(runs_dir: Path, environment: str, commit: str) -> Evidence:
    """Return what the tests of an environment were seen to run at a commit."""
    from envmatrix.analysis.impact import Evidence
    from envmatrix.runs.contexts import contexts_at

    contexts = contexts_at(runs_dir, environment, commit)
    names = [(each.path, each.name) for each in contexts.functions]
    return Evidence(
        commit,
        {test: frozenset(names[number] for number in ran) for test, ran in contexts.tests.items()},
        {name: each.digest for name, each in zip(names, contexts.functions, strict=True)},
        {path: frozenset(names[number] for number in ran) for path, ran in contexts.files.items()},
        frozenset(names[number] for number in contexts.shared),
    )
