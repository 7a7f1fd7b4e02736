"""`envmatrix audit --fix`: show the diff, write it, look again, and take back what made anything worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from envmatrix.exceptions import CannotFixError

if TYPE_CHECKING:
    from envmatrix.analysis.audit.audit import Audit
    from envmatrix.analysis.index.fixture_index import Index


def fix(index: Index, done: Audit, again: Callable[[], Audit], *, write: bool, err: bool) -> Audit:
    """Print the changes that mend what was found; make them, where that is wanted, and return what is found then.

    Args:
        index: What was audited.
        done: What was found.
        again: Audits anew.
        write: Whether to make the changes.
        err: Whether the changes go to standard error: a program's report is alone on standard output.

    Raises:
        CannotFixError: a file changed meanwhile, or the changes led to findings that were not there: all is as before.
    """
    from envmatrix.analysis.audit import edits
    from envmatrix.analysis.audit.fix import fixes
    from envmatrix.report.text import inert, inert_lines, plural

    plan = fixes(index, done.findings)
    for edit in plan.edits:
        typer.echo(inert_lines(edit.diff), nl=False, err=err)
    for finding, why in plan.refused:
        if why == finding.hint:
            continue  # the report says it
        place = f"{finding.path}:{finding.line}:{finding.column}"
        typer.echo(inert(f"{place}: {finding.code} is not mended: {why}"), err=True)
    if not plan.edits:
        typer.echo("Nothing that was found can be mended by itself.", err=True)
        return done
    if not write:
        typer.echo(f"{len(plan.fixed)} of {len(done.findings)} can be mended: --fix makes these changes.", err=True)
        return done
    edits.write(index.root, plan.edits)
    try:
        after = again()
        _hold(done, after)
    except BaseException:
        edits.restore(index.root, plan.edits)
        raise
    typer.echo(f"{len(plan.fixed)} of {len(done.findings)} mended in {plural(len(plan.edits), 'file')}.", err=True)
    return after


def _hold(before: Audit, after: Audit) -> None:
    """Refuse changes after which something is found that was not there, wherever it moved to.

    How well a fixture is kept (EM3) is no reason: it is what it was, only that it is looked at where it is now.
    """
    were, are = (
        Counter((each.code, each.message) for each in audit.findings if not each.code.startswith("EM3"))
        for audit in (before, after)
    )
    worse = are - were
    if worse:
        (code, message), _ = worse.most_common(1)[0]
        raise CannotFixError(f"the changes would lead to {code} {message}: nothing was changed, mend it by hand")
