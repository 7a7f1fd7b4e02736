"""`envmatrix init`: write the first declaration of a project."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.exceptions import FileError, UsageError

if TYPE_CHECKING:
    from envmatrix.commands.adopt import Found


def init(
    *, diff: Annotated[bool, typer.Option("--diff", help="Print what would be written, and write nothing.")] = False
) -> int:
    """Write a first declaration, settings and a CI job from what the project's own files say.

    Reads the Compose file by the engine's own command, Procfile, .env.example, and fixtures and options of conftests. Asks
    nothing, overwrites nothing.
    """
    from envmatrix.commands.adopt import look, new_texts
    from envmatrix.environments import Project
    from envmatrix.masking import MASKER
    from envmatrix.report.text import inert, inert_lines

    project = Project.find(Path.cwd())
    root = project.root
    found = look(root)
    if not found.services:
        notes = "".join(f"; {note}" for note in found.notes)
        what = f"no Compose file, Procfile, .env.example, option or fixture in {root} tells of a service{notes}"
        raise UsageError(inert(what), "Write environments/local.toml: see docs/how-to/environment.md")
    texts = new_texts(project, found)
    for path, text in texts.items():
        name, old = os.path.relpath(path, root), path.read_text(encoding="utf-8") if path.exists() else ""
        if diff:
            before = f"a/{name}" if path.exists() else os.devnull
            change = difflib.unified_diff(old.splitlines(True), text.splitlines(True), before, f"b/{name}")
            typer.echo(MASKER.mask_known(inert_lines("".join(change))), nl=False)
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a" if old else "x", encoding="utf-8") as stream:
                stream.write(text.removeprefix(old))
        except OSError as error:
            raise FileError(path, f"cannot be written: {error.strerror}") from None
        typer.echo(f"{'added to' if old else 'wrote'} {name}")
    if not texts:
        typer.echo("All of it is there already: nothing was written.")
    elif not diff:
        for line in _to_do(found):
            typer.echo(inert(line))
        typer.echo("Read the declaration, then: envmatrix doctor; envmatrix run local")
    return 0


def _to_do(found: Found) -> Iterator[str]:
    """Yield what only a person can say."""
    for guess in found.services:
        if guess.kind == "http" and guess.is_started:
            yield f"A guess: health of {guess.name}. Name a path that answers 200 without a login"
    variables = {
        key: value for guess in found.services for key, (value, _) in guess.keys.items() if key.startswith("env.")
    }
    empty = sorted(key.removeprefix("env.") for key, value in variables.items() if str(value).endswith(":-}"))
    if empty:
        yield f"Left empty: {', '.join(empty)}. Set them where it runs, or give --env-file FILE"
