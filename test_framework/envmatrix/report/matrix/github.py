"""The matrix as annotations on a pull request's diff: workflow commands of GitHub Actions, no more than it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from envmatrix.gate import Answer, Verdict, number_of_tests
from envmatrix.matrix.table import Matrix
from envmatrix.report.matrix.summary import Look, Problem, Summary, by_label
from envmatrix.report.text import inert, middle

MOST = 10
"""Errors that GitHub shows of one step; it drops the rest without a word.
https://docs.github.com/en/actions/reference/limits"""

_LONGEST = 1000
"""Characters of a message; GitHub cuts at 64 KiB, a reader long before."""


def render(matrix: Matrix, verdicts: Sequence[Verdict]) -> str:
    """Return one command a line: the problems first, then each environment whose answer is not `compatible`."""
    lines = [*_about_problems(Summary.of(matrix).problems), *_about_verdicts(matrix, verdicts)]
    if len(lines) > MOST:
        left = len(lines) - MOST + 1
        lines[MOST - 1 :] = [command("envmatrix", f"and {left} more: the job's summary has them all")]
    return "".join(f"{line}\n" for line in lines)


def _about_problems(problems: Sequence[Problem]) -> Iterator[str]:
    for problem in problems:
        look = problem.looks[0]
        file, line = _place(look, problem.tests[0])
        cause = f": {look.cause} {look.rule}".rstrip() if look.cause else ""
        more = f" and {number_of_tests(len(problem.tests) - 1)} more" if len(problem.tests) > 1 else ""
        what = look.summary or str(look.outcome)
        yield command(f"{', '.join(look.labels)}{cause}", f"{problem.tests[0]}{more}: {what}", file, line)


def _about_verdicts(matrix: Matrix, verdicts: Sequence[Verdict]) -> Iterator[str]:
    for label, verdict in by_label(matrix, verdicts):
        if verdict.answer is not Answer.COMPATIBLE:
            yield command(f"{label}: {verdict.answer}", verdict.reasons[0].text)


def _place(look: Look, test: str) -> tuple[str, str]:
    """Return the file and line of what broke; the test's file where that is not known."""
    found = re.fullmatch(r"(.+):(\d+)", look.place) or re.match(r"(\S+\.py):(\d+)\b", look.summary)
    return (found[1], found[2]) if found else (test.partition("::")[0], "")


def command(title: str, message: str, file: str = "", line: str = "", *, level: str = "error") -> str:
    """Return one annotation."""
    parts = {"file": file, "line": line, "title": title}
    properties = ",".join(f"{key}={_property(value)}" for key, value in parts.items() if value)
    return f"::{level} {properties}::{_data(message)}"


def _data(text: str) -> str:
    """Escape a message as GitHub's own toolkit does; what it holds can begin no command."""
    return middle(inert(text), _LONGEST).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
