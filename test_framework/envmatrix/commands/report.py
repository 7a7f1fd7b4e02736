"""`envmatrix report`: write the matrix of run files in the formats that others read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.options import MixedCommits, Runs, load_matrix
from envmatrix.exceptions import UsageError

_EACH = "{environment}"


def report(
    runs: Runs = None,
    *,
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

    if not any((ctrf, junit, svg, badges, agent)):
        raise UsageError(
            "no format to write", "Name one: --ctrf FILE, --junit DIR, --svg FILE, --badges DIR, --agent DIR"
        )
    project = Project.find(Path.cwd())
    MASKER.add_all(secrets_among(os.environ))
    matrix = masked(load_matrix(project, runs, mixed_commits=mixed_commits))
    judged = JudgedMatrix(matrix, judge_all(matrix))
    texts: dict[Path, str] = {}
    if ctrf is not None:
        each = ctrf_.render_each(judged) if _EACH in ctrf.name else {"": ctrf_.render(judged)}
        texts |= {ctrf.with_name(ctrf.name.replace(_EACH, name)): text for name, text in each.items()}
    if junit is not None:
        texts |= {junit / f"{name}.xml": text for name, text in junit_.render(judged).items()}
    if svg is not None:
        texts[svg] = picture.render(judged)
    if badges is not None:
        texts |= {badges / name: text for name, text in badge.render(judged).items()}
    if agent is not None:
        texts |= {agent / name: text for name, text in directory.render(judged, project, agent_budget).items()}
    write_files(texts, filter(None, (junit, badges, agent)))
    for page in agent.glob("failure-[0-9][0-9][0-9][0-9].md") if agent is not None else ():
        if page not in texts:
            page.unlink()  # of an earlier run, which had more failures
    for what, path in (("CTRF", ctrf), ("JUnit", junit), ("SVG", svg), ("Badges", badges), ("For an assistant", agent)):
        if path is not None:
            typer.echo(f"{what}: {os.path.relpath(path)}", err=True)
    return 0
