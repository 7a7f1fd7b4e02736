"""`envmatrix audit`: what is wrong with a tree's fixtures, by reading its source alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.exceptions import UsageError

if TYPE_CHECKING:
    from envmatrix.analysis.audit.audit import Audit
    from envmatrix.analysis.index.fixture_index import Index
    from envmatrix.analysis.source.cache import Cache
    from envmatrix.commands.audit_settings import Settings

FOUND = 1
"""What it exits with where there are findings."""

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
"""Put there for a terminal; names have no such characters any more."""


def audit(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Files and directories; by default all that pytest would collect here."),
    ] = None,
    *,
    select: Annotated[
        list[str] | None, typer.Option(metavar="CODES", help="Rules that hold: EM101, EM1, ALL; several by commas.")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="CODES", help="Rules that do not hold.")] = None,
    per_file_ignores: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB:CODES", help="Rules that do not hold in files whose path or name the pattern fits."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Findings that are known; by default .envmatrix-audit.json in the root."),
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Make what is found now what is known, and exit with 0.")
    ] = False,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text, json, sarif, github or markdown.")
    ] = "text",
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, not to standard output.")] = None,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="How many findings each rule has, instead of the findings.")
    ] = False,
    show_unknown: Annotated[
        bool, typer.Option("--show-unknown", help="List the requests of which the source does not tell enough.")
    ] = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 also where there are findings.")] = False,
    explain: Annotated[str, typer.Option(metavar="CODE", help="Print the page of a rule, and do nothing else.")] = "",
    python: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Interpreter or environment whose pytest plugins count; else the root's .venv."
        ),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read every file anew.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what --fix would change, and change nothing.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended without a doubt; shows the changes first.")
    ] = False,
) -> int:
    """Find fixtures that are out of sight, of the wrong shape or badly kept: read from the source, nothing is run.

    Exit codes: 0 no finding, 1 findings, 2 usage or configuration.
    """
    from envmatrix.report.audit import reporter

    if explain:
        from envmatrix.analysis.audit.rules import page, rule

        typer.echo(page(rule(explain).code), nl=False)
        return 0
    make = reporter(format_)
    if (statistics or show_unknown) and format_ != "text":
        option = "--statistics" if statistics else "--show-unknown"
        raise UsageError(f"{option} is for --format text", "The JSON format has both, always")
    from envmatrix.analysis.audit.audit import audit as audit_tree
    from envmatrix.analysis.audit.audit import is_in_view
    from envmatrix.analysis.audit.baseline import Baseline
    from envmatrix.commands.audit_settings import Settings
    from envmatrix.report.audit import text
    from envmatrix.report.text import plural

    settings = Settings.find(paths or (), select, ignore, per_file_ignores)
    file = baseline or settings.baseline
    must_be = baseline is not None and not update_baseline
    known = Baseline.read(file) if must_be or file.exists() else Baseline.empty()
    held = Baseline.empty() if update_baseline else known

    def look(index: Index, cache: Cache | None) -> Audit:
        return audit_tree(index, settings.selection, held, _within(index.root, paths or ()), cache)

    def again() -> Audit:
        with _index(settings, paths or (), python, no_cache=no_cache) as (index, cache):
            return look(index, cache)

    with _index(settings, paths or (), python, no_cache=no_cache) as (index, cache):
        within, done = _within(index.root, paths or ()), look(index, cache)
        if fix or diff:
            from envmatrix.commands.fixing import fix as mend

            done = mend(index, done, again, write=fix, err=format_ != "text" and output is None)
    if update_baseline:
        made = known.updated(done.findings, lambda entry: is_in_view(entry, settings.selection, within))
        made.write(file)
        typer.echo(f"{file.name} holds {plural(made.total, 'finding')}; before it was {known.total}")
        return 0
    rendered = text.statistics(done) if statistics else make(done)
    if show_unknown:
        rendered = text.unknown(done) + rendered
    _write(rendered, output)
    return FOUND if done.findings and not exit_zero else 0


@contextmanager
def _index(
    settings: Settings, paths: Sequence[Path], python: Path | None, *, no_cache: bool
) -> Iterator[tuple[Index, Cache | None]]:
    """Index a tree; what it reads later is kept in the cache, too, so that this is open until nothing is asked any more."""
    from envmatrix.analysis.index.build import index_of
    from envmatrix.commands.indexing import reader

    with reader(settings.root, settings.contracts, no_cache=no_cache) as read:
        files = [path.resolve() for path in paths]  # as the root is, or what a link leads to would not be below it
        index = index_of(
            settings.root, files, python=python, contracts=settings.contracts, load_modules=read, load_changes=read.look
        )
        if not index.projects:
            where = ", ".join(map(str, paths)) or str(settings.root)
            raise UsageError(f"nothing to audit: pytest would collect no file of {where}", "Name where the tests are")
        yield index, read.cache


def _within(root: Path, paths: Sequence[Path]) -> tuple[str, ...]:
    return tuple(os.path.relpath(path.resolve(), root).replace(os.sep, "/") for path in paths)


def _write(rendered: str, output: Path | None) -> None:
    if output is None:
        typer.echo(rendered, nl=False)
        return
    try:
        output.write_text(_COLOUR.sub("", rendered), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from None
