"""`envmatrix report`: write the matrix of run files in the formats that others read."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.history import earlier_numbers, past_runs
from envmatrix.commands.options import HistoryFile, Html, MixedCommits, Runs, load_matrix
from envmatrix.commands.page import compare_with, render_page
from envmatrix.commands.sides import SIDE
from envmatrix.exceptions import UsageError

_EACH = "{environment}"


def report(
    runs: Runs = None,
    *,
    html: Html = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="SIDE", help=f"What --html compares with, by default the baseline: {SIDE}", show_default=False
        ),
    ] = None,
    ctrf: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Common Test Report Format, JSON. With {environment} in the name: a file for each environment.",
        ),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="DIR", help="JUnit XML, a file for each environment.")] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="A picture of the matrix, for a README.")] = None,
    badges: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="A badge for each environment: an SVG image, and the JSON that shields.io reads."
        ),
    ] = None,
    agent: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="For an assistant that has only files: an index, a page a failure, a manifest."
        ),
    ] = None,
    agent_budget: Annotated[
        int,
        typer.Option(
            metavar="N", min=10_000, help="Characters of all files of --agent together; the worst failures come first."
        ),
    ] = 200_000,
    history: HistoryFile = None,
    mixed_commits: MixedCommits = False,
) -> int:
    """Write the matrix of run files, by default of the last run, in formats for people, dashboards and assistants.

    Exit codes: 0 written, whatever the matrix says; 2 nothing to write, or nowhere.
    """
    from envmatrix.environments import Project
    from envmatrix.gate import judge_all
    from envmatrix.masking import MASKER, secrets_among
    from envmatrix.report.agent import directory
    from envmatrix.report.files import write_files
    from envmatrix.report.masked import masked
    from envmatrix.report.matrix import badges as badge
    from envmatrix.report.matrix import ctrf as ctrf_
    from envmatrix.report.matrix import junit as junit_
    from envmatrix.report.matrix import svg as picture
    from envmatrix.report.matrix.summary import JudgedMatrix

    def of_ctrf(path: Path) -> dict[Path, str]:
        each = ctrf_.render_each(judged) if _EACH in path.name else {"": ctrf_.render(judged)}
        return {path.with_name(path.name.replace(_EACH, name)): text for name, text in each.items()}

    formats: tuple[tuple[str, Path | None, Callable[[Path], dict[Path, str]]], ...] = (
        ("HTML", html, lambda path: {path: render_page(judged, project, past, comparison)}),
        ("CTRF", ctrf, of_ctrf),
        ("JUnit", junit, lambda path: {path / f"{name}.xml": text for name, text in junit_.render(judged).items()}),
        ("SVG", svg, lambda path: {path: picture.render(judged)}),
        ("Badges", badges, lambda path: {path / name: text for name, text in badge.render(judged).items()}),
        (
            "For an assistant",
            agent,
            lambda path: {path / name: text for name, text in directory.render(judged, project, agent_budget).items()},
        ),
    )
    wanted = [(what, path, files) for what, path, files in formats if path is not None]
    if not wanted:
        raise UsageError(
            "no format to write",
            "Name one: --html FILE, --ctrf FILE, --junit DIR, --svg FILE, --badges DIR, --agent DIR",
        )
    project = Project.find(Path.cwd())
    MASKER.add_all(secrets_among(os.environ))
    matrix = load_matrix(project, runs, mixed_commits=mixed_commits)
    if [path for _, path, _ in wanted] != [html]:  # the page masks all that it embeds
        matrix = masked(matrix)
    with ExitStack() as stack:
        past = past_runs(project, history, stack)
        judged = JudgedMatrix(matrix, judge_all(matrix, earlier=earlier_numbers(past)))
        comparison = compare_with(against, matrix, project, history) if html else None
        texts = {file: text for _, path, files in wanted for file, text in files(path).items()}
    write_files(texts, filter(None, (junit, badges, agent)))
    for page in agent.glob("failure-[0-9][0-9][0-9][0-9].md") if agent is not None else ():
        if page not in texts:
            page.unlink()  # of an earlier run, which had more failures
    for what, path, _ in wanted:
        typer.echo(f"{what}: {os.path.relpath(path)}", err=True)
    return 0
