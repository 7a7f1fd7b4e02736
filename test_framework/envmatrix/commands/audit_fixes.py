"""`envmatrix audit --fix`: show the diff, write it, look again, and take it back if it made anything worse."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from envmatrix.exceptions import CannotFixError, UsageError
from envmatrix.runs.nodeid import function_of, split

if TYPE_CHECKING:
    from envmatrix.analysis.audit.audit import AuditResult
    from envmatrix.analysis.audit.fixes.edits import Edit
    from envmatrix.analysis.index.fixture_index import Index

_DEADLINE = 600.0
"""Seconds that one collection may take."""

# As `pytest` is run, not as `python -m pytest`: the working directory is not on sys.path.
_COLLECT = """
import json, sys
sys.path[:] = [path for path in sys.path if path]
import pytest
class Collected:
    def pytest_collection_finish(self, session):
        with open(sys.argv[1], "w") as stream:
            json.dump([item.nodeid for item in session.items], stream)
pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *sys.argv[2:]], plugins=[Collected()])
"""


@dataclass(frozen=True, slots=True)
class Collector:
    """Has pytest collect directories, in a process of its own: the tests' code is imported there."""

    python: Path

    @property
    def is_there(self) -> bool:
        """Return whether the interpreter has pytest."""
        command = [str(self.python), "-c", "import pytest"]
        return not subprocess.run(command, check=False, capture_output=True, timeout=_DEADLINE).returncode  # noqa: S603

    def collect(self, root: Path, directories: Sequence[Path]) -> frozenset[str]:
        """Return the node ids of the tests that pytest collects.

        Raises:
            CannotFixError: it takes longer than the deadline.
        """
        with tempfile.TemporaryDirectory(prefix="envmatrix-collect-") as scratch:
            file = Path(scratch, "collected.json")
            command = [str(self.python), "-c", _COLLECT, str(file), *map(str, directories)]
            try:
                subprocess.run(  # noqa: S603  the interpreter that the user named
                    command, cwd=root, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=_DEADLINE
                )
            except subprocess.TimeoutExpired:
                why = f"pytest has not collected {', '.join(map(str, directories))} in {_DEADLINE:g} s"
                raise CannotFixError(f"{why}: --no-verify writes without") from None
            return frozenset(json.loads(file.read_text(encoding="utf-8")) if file.exists() else ())


def collector(root: Path, python: Path | None, *, verify: bool | None) -> Collector | None:
    """Return what collects tests before and after the changes; None where nothing is to be verified.

    Args:
        root: The tree's root, whose `.venv` counts by default.
        python: An interpreter, or the directory of its environment.
        verify: Whether to verify; by default where the interpreter has pytest.

    Raises:
        UsageError: the changes are to be verified, and pytest is not there.
    """
    if verify is False:
        return None
    found = python or next(iter((root / ".venv/bin").glob("python")), Path(sys.executable))
    collecting = Collector((found / "bin/python" if found.is_dir() else found).absolute())
    if collecting.is_there:
        return collecting
    if verify:
        raise UsageError(f"--verify needs pytest, and {found} has none", "Name where tests run with --python")
    return None


def fix(
    index: Index,
    result: AuditResult,
    again: Callable[[], AbstractContextManager[tuple[Index, AuditResult]]],
    *,
    collecting: Collector | None,
    write: bool,
    err: bool,
) -> AuditResult:
    """Print the changes that mend findings; make them, where that is wanted, and return the result of the audit then.

    Args:
        index: The index of the whole tree.
        result: The audit's result.
        again: Audits the tree anew.
        collecting: Collects the tests around the changes, before and after; None to go without.
        write: Whether to make the changes.
        err: Whether the changes go to standard error: a program's report is alone on standard output.

    Raises:
        CannotFixError: a file changed meanwhile, or the changes made something worse: all is as before.
    """
    from envmatrix.analysis.audit.fixes import edits
    from envmatrix.analysis.audit.fixes.fixes import compute_fixes
    from envmatrix.report.text import inert, inert_lines, plural

    plan = compute_fixes(index, result.findings)
    for edit in plan.edits:
        typer.echo(inert_lines(edit.diff), nl=False, err=err)
    for finding, why in plan.refused:
        place = f"{finding.path}:{finding.line}:{finding.column}"
        typer.echo(inert(f"{place}: {finding.code} is not mended: {why}"), err=True)
    if not plan.edits:
        typer.echo("Nothing that was found can be mended by itself.", err=True)
        return result
    if not write:
        typer.echo(f"{len(plan.fixed)} of {len(result.findings)} can be mended: --fix makes these changes.", err=True)
        return result
    faults = _faults(index)
    around = _around(index.root, plan.edits)
    collected = collecting.collect(index.root, around) if collecting else frozenset()
    edits.write(index.root, plan.edits)
    try:
        with again() as (index_then, after):
            _refuse_new(faults, _faults(index_then))
        if collecting:
            _refuse_lost(collected, collecting.collect(index.root, around))
    except BaseException:
        edits.restore(index.root, plan.edits)
        raise
    around_it = f"the {plural(len(collected), 'test')}" if collected else "no test"
    verified = f"; pytest collects {around_it} around, as before" if collecting else ""
    typer.echo(
        f"{len(plan.fixed)} of {len(result.findings)} mended in {plural(len(plan.edits), 'file')}{verified}.", err=True
    )
    return after


def _around(root: Path, edits: Sequence[Edit]) -> list[Path]:
    """Return the directories whose tests may notice some edits."""
    directories = sorted({(root / edit.path).parent for edit in edits})
    return [each for each in directories if not any(other in each.parents for other in directories)]


def _faults(index: Index) -> Counter[tuple[str, str]]:
    """Count what is wrong in a whole tree; a rule of hygiene says the same of a fixture wherever it is."""
    from envmatrix.analysis.audit.audit import audit
    from envmatrix.analysis.audit.baseline import AuditBaseline
    from envmatrix.analysis.audit.selection import RuleSelection

    found = audit(index, RuleSelection(("EM1", "EM2")), AuditBaseline.empty()).findings
    return Counter((each.code, each.message) for each in found)


def _refuse_new(before: Counter[tuple[str, str]], after: Counter[tuple[str, str]]) -> None:
    """Refuse changes that led to findings which were not there, wherever they moved to."""
    if worse := after - before:
        (code, message), _ = worse.most_common(1)[0]
        raise CannotFixError(f"the changes would lead to {code} {message}: nothing was changed, mend it by hand")


def _refuse_lost(before: frozenset[str], after: frozenset[str]) -> None:
    now: dict[str, list[Counter[str]]] = {}
    for test in after if before - after else ():
        now.setdefault(function_of(test), []).append(_parameters(test))
    # What is found again may run a test for each of its own parameters, in addition to those that the test has.
    lost = [
        test for test in before - after if not any(_parameters(test) <= each for each in now.get(function_of(test), ()))
    ]
    if lost:
        what = f"{min(lost)} and {len(lost) - 1} more" if len(lost) > 1 else min(lost)
        raise CannotFixError(f"pytest would not collect {what} any more: nothing was changed, mend it by hand")


def _parameters(test: str) -> Counter[str]:
    return Counter(filter(None, split(test).parameters.split("-")))
