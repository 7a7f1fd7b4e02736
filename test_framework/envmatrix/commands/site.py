"""`envmatrix site`: make a static site of all runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.history import Place, open_history
from envmatrix.commands.options import HistoryFile
from envmatrix.commands.page import render_page
from envmatrix.exceptions import RunFileError

if TYPE_CHECKING:
    from envmatrix.environments import Project
    from envmatrix.history import History
    from envmatrix.report.matrix.summary import JudgedMatrix
    from envmatrix.report.site.facts import PageFacts, Site

_RUNS = 50
"""Runs of each environment that a trend shows."""
_PAGES = 100
"""Pages of matrices that the index names."""
_TESTS = 20
"""Flakiest and slowest tests of each environment."""


def site(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; what is there is added to.")],
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN",
            help="Directories of run files that get a page each; by default all that are kept.",
            show_default=False,
        ),
    ] = None,
    *,
    place: Place = "",
    history: HistoryFile = None,
) -> int:
    """Make a static site: each environment as it is now and over time, flaky and slow tests, badges, a page for each matrix.

    It needs no server. Pages of matrices are written once.
    """
    from envmatrix.environments import Project
    from envmatrix.masking import MASKER, secrets_among
    from envmatrix.report.files import write_files
    from envmatrix.report.matrix import badges
    from envmatrix.report.site import pages

    MASKER.add_all(secrets_among(os.environ))
    project = Project.find(Path.cwd())
    with open_history(project, history, place) as past:
        made = _write_pages(directory, runs or _kept(project), project, past)
        latest, facts = _facts(past, _known(directory))
    texts = {directory / "index.html": pages.index(facts)}
    texts |= {directory / each.page: pages.environment(each, facts) for each in facts.environments}
    texts |= {directory / "badges" / name: text for name, text in badges.render(latest).items()}
    write_files(texts, {path.parent for path in texts})
    typer.echo(
        f"{directory / 'index.html'}: {len(facts.environments)} environments, {made} new pages of runs", err=True
    )
    return 0


def _kept(project: Project) -> Sequence[Path]:
    """Return the directories of all runs that are kept."""
    if not project.runs_dir.is_dir():
        return ()
    return sorted(path for path in project.runs_dir.iterdir() if path.is_dir() and not path.is_symlink())


def _write_pages(directory: Path, runs: Iterable[Path], project: Project, past: History) -> int:
    """Write the page of each matrix that has none yet, or whose run files are younger; return their number."""
    from msgspec.json import encode

    from envmatrix.report.files import write_files
    from envmatrix.report.site.facts import page_name
    from envmatrix.runs.file import read_header

    number = 0
    for path in runs:
        try:
            files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
            page = directory / "runs" / f"{page_name(read_header(file) for file in files)}.html"
            if page.exists() and page.stat().st_mtime >= max(file.stat().st_mtime for file in files):
                continue
            judged = _judged(path)
        except RunFileError as error:
            typer.echo(f"warning: {error}", err=True)
            continue
        facts = encode(_page_facts(judged)).decode()
        write_files({page.with_suffix(".json"): facts, page: render_page(judged, project, past, None)}, [page.parent])
        number += 1
    return number


def _judged(path: Path) -> JudgedMatrix:
    from envmatrix.gate import judge_all
    from envmatrix.matrix.table import matrix_of
    from envmatrix.report.matrix.summary import JudgedMatrix
    from envmatrix.runs.directory import load_paths

    matrix = matrix_of(load_paths([path]), mixed_commits=True)  # the page masks all that it embeds
    return JudgedMatrix(matrix, judge_all(matrix))


def _page_facts(judged: JudgedMatrix) -> PageFacts:
    from envmatrix.report.site.facts import PageFacts

    matrix = judged.matrix
    return PageFacts(
        started_at=matrix.started_at,
        commit=matrix.commits[0] if len(matrix.commits) == 1 else "several" if matrix.commits else "unknown",
        dirty=matrix.dirty,
        run_ids=tuple(run.header.run_id for run in matrix.runs),
        answers={column.label: verdict.answer for column, verdict in zip(matrix.columns, judged.verdicts, strict=True)},
    )


def _known(directory: Path) -> Mapping[str, PageFacts]:
    """Read what is known of the pages that are there, the newest first; a damaged one is left out."""
    import msgspec

    from envmatrix.report.site.facts import PageFacts
    from envmatrix.safety.input_files import read_bytes

    known = {}
    for path in sorted(directory.glob("runs/*.json"), reverse=True)[:_PAGES]:
        try:
            if path.with_suffix(".html").exists():
                known[f"runs/{path.stem}.html"] = msgspec.json.decode(read_bytes(path), type=PageFacts)
        except msgspec.MsgspecError:
            typer.echo(f"warning: {path} is damaged, and left out", err=True)
    return known


def _facts(past: History, known: Mapping[str, PageFacts]) -> tuple[JudgedMatrix, Site]:
    """Return the last run of each environment, and what the site shows."""
    from envmatrix.gate import judge_all
    from envmatrix.report.masked import masked
    from envmatrix.report.matrix.summary import JudgedMatrix
    from envmatrix.report.site.facts import EnvironmentFacts, Site

    matrix = masked(past.latest())
    latest = JudgedMatrix(matrix, judge_all(matrix))
    environments = [
        EnvironmentFacts(
            column,
            verdict,
            past.runs(column.judged_as, _RUNS),
            past.flakiest(_TESTS, column.judged_as),
            past.longest(_TESTS, column.judged_as),
        )
        for column, verdict in zip(matrix.columns, latest.verdicts, strict=True)
    ]
    return latest, Site(datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), environments, known)
