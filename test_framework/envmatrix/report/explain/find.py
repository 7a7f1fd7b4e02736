"""Find the cell that a person names: an environment by its name, a test by any unambiguous part of its node id."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence

from envmatrix.exceptions import UsageError, nearest
from envmatrix.matrix.table import Column, Matrix
from envmatrix.report.text import inert, middle
from envmatrix.runs.cells import MissingRun
from envmatrix.runs.events import FindingRecord
from envmatrix.runs.nodeid import function_of
from envmatrix.runs.rules import RuleCode

_LISTED = 10
"""Candidates that are listed."""

_COMPARED = 20_000
"""Names that are searched for the nearest spelling, which takes about 50 µs each."""

_LONGEST = 200
"""Characters of a candidate."""


def column_named(matrix: Matrix, environment: str) -> Column:
    """Return an environment's column, by its name or its label.

    Raises:
        UsageError: there is none of that name.
    """
    for column in matrix.columns:
        if environment in {column.environment, column.label}:
            return column
    known = [inert(column.environment) for column in matrix.columns]
    raise UsageError(f"no run of an environment {_shown(environment)!r} here", nearest(environment, known))


def find_test(matrix: Matrix, column: Column, wanted: str) -> str:
    """Return the node id that `wanted` is, or is an unambiguous part of.

    The environment's own tests come first; one that only another environment planned is found too.

    Raises:
        UsageError: several tests match, or none.
    """
    wanted = wanted.removeprefix("./")
    findings = () if isinstance(column.run, MissingRun) else column.run.findings
    here = [
        *column.cells,
        *(finding.place for finding in findings if finding.rule == RuleCode.COLLECTION_FAILED and finding.place),
    ]
    elsewhere = [row.test for row in matrix.rows if row.test not in column.cells]
    for matches in _ways(wanted):
        for tests in (here, elsewhere):
            matching = [test for test in tests if matches(test)]
            if len(matching) == 1:
                return matching[0]
            if matching:
                raise UsageError(f"{len(matching)} tests match {_shown(wanted)!r}", _candidates(matching))
    if isinstance(column.run, MissingRun) or any(is_of_module(finding, wanted) for finding in findings):
        return wanted  # there may be such a test, and the explanation says why it is not known
    raise UsageError(
        f"no test {_shown(wanted)!r} in {_shown(column.label)}", _spelling(wanted, [*here, *elsewhere][:_COMPARED])
    )


def is_of_module(finding: FindingRecord, test: str) -> bool:
    """Return whether a test is of a module that could not be collected."""
    place = finding.place
    return (
        finding.rule == RuleCode.COLLECTION_FAILED
        and bool(place)
        and (test == place or test.startswith((f"{place}::", f"{place}/")))
    )


def _ways(wanted: str) -> Sequence[Callable[[str], bool]]:
    """Return predicates of node ids, the most exact first."""
    ends = (f"::{wanted}", f"/{wanted}")
    # Pieces in order: a file and a name, with or without the class between them.
    loose = re.compile(".*".join(map(re.escape, wanted.split("::"))), re.DOTALL)
    return (
        lambda test: test == wanted,
        lambda test: function_of(test) == wanted,
        lambda test: test.endswith(ends),
        lambda test: function_of(test).endswith(ends),
        lambda test: loose.search(test) is not None,
    )


def _candidates(tests: Sequence[str]) -> str:
    more = [f"and {len(tests) - _LISTED} more"] if len(tests) > _LISTED else []
    return "\n  ".join(["Name one of them:", *map(_shown, tests[:_LISTED]), *more])


def _spelling(wanted: str, known: Sequence[str]) -> str:
    """Return the hint with the nearest test, compared by file and name or by name alone, as `wanted` is given."""
    by_name = {(test if "::" in wanted or "/" in wanted else test.rpartition("::")[2]): test for test in known}
    close = difflib.get_close_matches(wanted, by_name, n=1)
    return f"Did you mean {_shown(by_name[close[0]])!r}?" if close else "envmatrix show --json lists all that there are"


def _shown(text: str) -> str:
    return middle(inert(text), _LONGEST)
