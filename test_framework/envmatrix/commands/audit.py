"""`envmatrix audit`: find what is wrong with the fixtures of a tree, by reading its source alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.exceptions import UsageError

if TYPE_CHECKING:
    from envmatrix.analysis.audit.audit import AuditResult
    from envmatrix.analysis.audit.baseline import AuditBaseline
    from envmatrix.analysis.index.fixture_index import Index
    from envmatrix.commands.audit_settings import AuditSettings
    from envmatrix.report.base import Reporter

FOUND = 1
"""The exit code where there are findings."""

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
    verify: Annotated[
        bool | None,
        typer.Option(
            "--verify/--no-verify",
            help="Have pytest collect the tests around a change before and after --fix, and take it back where one is lost; "
            "by default where pytest is installed.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Find fixtures that are out of sight, of the wrong shape or badly kept: read from the source, nothing is run.

    Exit codes: 0 no finding, 1 findings, 2 usage or configuration.
    """
    if explain:
        from envmatrix.analysis.audit.rules.catalog import page, rule

        typer.echo(page(rule(explain).code), nl=False)
        return 0
    render = _renderer(format_, statistics=statistics, show_unknown=show_unknown)
    from envmatrix.analysis.audit.baseline import AuditBaseline
    from envmatrix.commands.audit_settings import AuditSettings

    settings = AuditSettings.find(paths or (), select, ignore, per_file_ignores)
    file = baseline or settings.baseline
    must_exist = baseline is not None and not update_baseline
    known = AuditBaseline.read(file) if must_exist or file.exists() else AuditBaseline.empty()
    tree = _AuditedTree(
        settings, tuple(paths or ()), python, no_cache, AuditBaseline.empty() if update_baseline else known
    )
    with tree.audited(whole=fix or diff) as (index, found):
        result = found
        if fix or diff:
            from envmatrix.commands.audit_fixes import collector
            from envmatrix.commands.audit_fixes import fix as mend

            result = mend(
                index,
                found,
                lambda: tree.audited(whole=True),
                collecting=collector(index.root, python, verify=verify) if fix else None,
                write=fix,
                err=format_ != "text" and output is None,
            )
    if update_baseline:
        _update(file, known, tree, result)
        return 0
    _write(render(result), output)
    return FOUND if result.findings and not exit_zero else 0


def _renderer(format_: str, *, statistics: bool, show_unknown: bool) -> Reporter[AuditResult]:
    """Return what renders the result.

    Raises:
        UsageError: there is no such format, or an option is not for it.
    """
    from envmatrix.report.audit import reporter

    render = reporter(format_)
    if not (statistics or show_unknown):
        return render
    if format_ != "text":
        option = "--statistics" if statistics else "--show-unknown"
        raise UsageError(f"{option} is for --format text", "The JSON format has both, always")
    from envmatrix.report.audit import text

    body = text.statistics if statistics else render
    return lambda result: (text.unknown(result) if show_unknown else "") + body(result)


@dataclass(frozen=True, slots=True)
class _AuditedTree:
    """A tree to audit, read anew by each audit."""

    settings: AuditSettings
    paths: tuple[Path, ...]
    python: Path | None
    no_cache: bool
    known: AuditBaseline

    @contextmanager
    def audited(self, *, whole: bool) -> Iterator[tuple[Index, AuditResult]]:
        """Give the index of the tree and the findings that are not known; the index can be asked until the end.

        Args:
            whole: Whether the index has all tests, wherever the paths lead: a change may concern any of them.
        """
        from envmatrix.analysis.audit.audit import audit as audit_tree
        from envmatrix.analysis.index.build import index_of
        from envmatrix.commands.indexing import reader

        root, contracts = self.settings.root, self.settings.contracts
        files = [path.resolve() for path in self.paths]  # as the root is: what a link leads to may not be below it
        if whole and files:
            files.append(root)
        with reader(root, contracts, no_cache=self.no_cache) as read:
            index = index_of(
                root, files, python=self.python, contracts=contracts, load_modules=read, load_changes=read.look
            )
            if not index.projects:
                where = ", ".join(map(str, self.paths)) or str(root)
                raise UsageError(
                    f"nothing to audit: pytest would collect no file of {where}", "Name where the tests are"
                )
            within = self.within(index.root)
            yield index, audit_tree(index, self.settings.selection, self.known, within, read.cache)

    def within(self, root: Path) -> tuple[str, ...]:
        """Return the paths to audit, relative to the root."""
        return tuple(os.path.relpath(path.resolve(), root).replace(os.sep, "/") for path in self.paths)


def _update(file: Path, known: AuditBaseline, tree: _AuditedTree, result: AuditResult) -> None:
    from envmatrix.analysis.audit.audit import is_in_view
    from envmatrix.report.text import plural

    within, selection = tree.within(result.root), tree.settings.selection
    updated = known.updated(result.findings, lambda entry: is_in_view(entry, selection, within))
    updated.write(file)
    typer.echo(f"{file.name} holds {plural(updated.total, 'finding')}; before it was {known.total}")


def _write(rendered: str, output: Path | None) -> None:
    if output is None:
        typer.echo(rendered, nl=False)
        return
    from envmatrix.report.files import write_files

    write_files({output: _COLOUR.sub("", rendered)})
