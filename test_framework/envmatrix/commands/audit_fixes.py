"""`envmatrix audit --fix`: show the diff, write it, audit again, and take it back if it led to new findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from envmatrix.exceptions import CannotFixError

if TYPE_CHECKING:
    from envmatrix.analysis.audit.audit import AuditResult
    from envmatrix.analysis.index.fixture_index import Index


def fix(index: Index, result: AuditResult, again: Callable[[], AuditResult], *, write: bool, err: bool) -> AuditResult:
    """Print the changes that mend findings; make them, where that is wanted, and return the result of the audit then.

    Args:
        index: The index of the tree.
        result: The audit's result.
        again: Audits the tree anew.
        write: Whether to make the changes.
        err: Whether the changes go to standard error: a program's report is alone on standard output.

    Raises:
        CannotFixError: a file changed meanwhile, or the changes led to findings that were not there: all is as before.
    """
    from envmatrix.analysis.audit.fixes import edits
    from envmatrix.analysis.audit.fixes.fixes import compute_fixes
    from envmatrix.report.text import inert, inert_lines, plural

    plan = compute_fixes(index, result.findings)
    for edit in plan.edits:
        typer.echo(inert_lines(edit.diff), nl=False, err=err)
    for finding, why in plan.refused:
        if why == finding.hint:
            continue  # the report says it
        place = f"{finding.path}:{finding.line}:{finding.column}"
        typer.echo(inert(f"{place}: {finding.code} is not mended: {why}"), err=True)
    if not plan.edits:
        typer.echo("Nothing that was found can be mended by itself.", err=True)
        return result
    if not write:
        typer.echo(f"{len(plan.fixed)} of {len(result.findings)} can be mended: --fix makes these changes.", err=True)
        return result
    edits.write(index.root, plan.edits)
    try:
        after = again()
        _refuse_new(result, after)
    except BaseException:
        edits.restore(index.root, plan.edits)
        raise
    typer.echo(f"{len(plan.fixed)} of {len(result.findings)} mended in {plural(len(plan.edits), 'file')}.", err=True)
    return after


def _refuse_new(before: AuditResult, after: AuditResult) -> None:
    """Refuse changes that led to findings which were not there, wherever they moved to.

    A rule of hygiene (EM3) is no reason: the fixture is what it was, only audited where it is now.
    """
    were, are = (
        Counter((each.code, each.message) for each in audit.findings if not each.code.startswith("EM3"))
        for audit in (before, after)
    )
    worse = are - were
    if worse:
        (code, message), _ = worse.most_common(1)[0]
        raise CannotFixError(f"the changes would lead to {code} {message}: nothing was changed, mend it by hand")
