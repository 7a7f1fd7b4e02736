"""`envmatrix fixtures`: every fixture of a tree, or all about one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.indexing import reader
from envmatrix.exceptions import UsageError, nearest


def fixtures(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="All about this fixture; by default all.", show_default=False)
    ] = None,
    *,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text, json, markdown or mermaid.")
    ] = "text",
) -> int:
    """List the fixtures of the project: who provides each, its scope, what it yields, what it needs, who uses it.

    Read from source: nothing of the project is run.
    """
    from envmatrix.analysis.index.build import index_of
    from envmatrix.analysis.index.registry import Registry
    from envmatrix.analysis.project.settings import PytestSettings
    from envmatrix.report import registry as report

    formats = {
        "text": report.as_text,
        "json": report.as_json,
        "markdown": report.as_markdown,
        "mermaid": report.as_mermaid,
    }
    if format_ not in formats:
        raise UsageError(f"--format knows no {format_!r}", nearest(format_, formats))
    root = PytestSettings.find(Path.cwd()).root
    with reader(root) as read:
        index = index_of(root, load_modules=read)
        if not index.projects:
            raise UsageError(f"nothing to list: pytest would collect no file of {root}", "Go to where the tests are")
        registry = Registry.of(index)
    if name is not None and name not in registry.by_name:
        raise UsageError(f"no fixture is called {name!r} in {root}", nearest(name, registry.by_name))
    typer.echo(formats[format_](registry, name or ""), nl=False)
    return 0
