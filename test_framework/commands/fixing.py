"""`envmatrix audit --fix`: show the diff, write it, look again, and take back what made anything worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from test_framework.exceptions import CannotFixError

if TYPE_CHECKING:
    from test_framework.analysis.audit import Audit
    from test_framework.analysis.index import Index


def fix(index: Index, done: Audit, again: Callable[[], Audit], *, write: bool) -> Audit:
    """Print the changes that mend what was found; make them, where that is wanted, and return what is found then.

    Raises:
        CannotFixError: a file changed meanwhile, or the changes led to findings that were not there: all is as before.
    """
    from test_framework.analysis import fix as fixing

    plan = fixing.fixes(index, done.findings)
    for edit in plan.edits:
        typer.echo(edit.diff, nl=False)
    for finding, why in plan.refused:
        typer.echo(f"{finding.path}:{finding.line}:{finding.column}: {finding.code} is not mended: {why}", err=True)
    if not plan.edits:
        typer.echo("Nothing that was found can be mended by itself.", err=True)
        return done
    if not write:
        typer.echo(f"{len(plan.fixed)} of {len(done.findings)} can be mended: --fix makes these changes.", err=True)
        return done
    fixing.write(index.root, plan.edits)
    try:
        after = again()
        _hold(done, after)
    except BaseException:
        fixing.restore(index.root, plan.edits)
        raise
    typer.echo(f"{len(plan.fixed)} of {len(done.findings)} mended in {len(plan.edits)} files.", err=True)
    return after


def _hold(before: Audit, after: Audit) -> None:
    """Refuse changes after which something is found that was not there, wherever it moved to."""
    were = Counter((finding.code, finding.message) for finding in before.findings)
    worse = Counter((finding.code, finding.message) for finding in after.findings) - were
    if worse:
        (code, message), _ = worse.most_common(1)[0]
        raise CannotFixError(f"the changes would lead to {code} {message}: nothing was changed, mend it by hand")
