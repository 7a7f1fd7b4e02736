"""Findings for people, as linters print them: `path:line:col: CODE message`, then the tests and what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from envmatrix.analysis.audit.audit import AuditResult
from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.catalog import rule
from envmatrix.report.text import inert, middle, plural

_NAMED = 3
"""Tests named of one finding; `--format json` has all."""
_LONGEST = 500
"""Characters of a line."""
_BOLD, _RED, _CYAN, _DIM = "1", "1;31", "36", "2"


def render(audit: AuditResult) -> str:
    """Return the findings and the summary, coloured where standard output is a terminal."""
    return "".join(f"{line}\n" for line in (*_findings(audit.root, audit.findings), *_summary(audit)))


def statistics(audit: AuditResult) -> str:
    """Return the number of findings of each rule, most first."""
    width = len(str(max(audit.counts.values(), default=0)))
    ranked = sorted(audit.counts.items(), key=lambda pair: (-pair[1], pair[0]))
    rules = [(count, rule(code)) for code, count in ranked]
    lines = [
        f"{count:>{width}}  {_styled(each.code, _RED)}  {'[*]' if each.is_fixable else '[ ]'} {each.name}"
        for count, each in rules
    ]
    fixable = ["[*] --fix mends what it can mend without a doubt."] if any(each.is_fixable for _, each in rules) else []
    return "".join(f"{line}\n" for line in (*lines, *_summary(audit), *fixable))


def unknown(audit: AuditResult) -> str:
    """Return the requests whose answer the source does not tell."""
    return "".join(f"{line}\n" for line in _findings(audit.root, audit.unknown))


def prefix(root: Path, base: Path) -> str:
    """Return what stands before a finding's path so that it leads there from a directory; empty where that is the root."""
    return "" if root == base else f"{Path(os.path.relpath(root, base)).as_posix()}/"


def checkout() -> Path:
    """Return the directory from which a platform looks for files: the checkout, which is mostly where we are."""
    return Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())


def affected(tests: Sequence[str]) -> str:
    """Return the number of tests and the first of them."""
    named = ", ".join(_bounded(test) for test in tests[:_NAMED])
    more = f" and {len(tests) - _NAMED} more" if len(tests) > _NAMED else ""
    return f"{plural(len(tests), 'test')}: {named}{more}"


def _findings(root: Path, findings: Sequence[AuditFinding]) -> Iterator[str]:
    # As seen from here, so that a click on the path opens it.
    before = prefix(root, Path.cwd())
    for each in findings:
        colon = _styled(":", _CYAN)
        place = f"{_styled(_bounded(before + each.path), _BOLD)}{colon}{each.line}{colon}{each.column}{colon}"
        yield f"{place} {_styled(each.code, _RED)} {_bounded(each.message)}"
        if each.tests:
            yield f"    {affected(each.tests)}"
        if each.masked:
            yield f"    {_styled('masked:', _DIM)} a run of pytest does not show it, because of {_bounded(each.masked)}"
        if each.hint:
            yield f"    {_styled('help:', _CYAN)} {_bounded(each.hint)}"


def _summary(audit: AuditResult) -> Iterator[str]:
    scope = f"in {plural(audit.tests, 'test')} of {plural(audit.files, 'file')}"
    if audit.findings:
        found = _styled(f"Found {plural(len(audit.findings), 'finding')}", _BOLD)
        yield f"{found} {scope}."
    else:
        yield f"No findings {scope}."
    if left_out := [
        *([f"{audit.suppressed} suppressed by noqa"] if audit.suppressed else []),
        *([f"{audit.known} known from the baseline"] if audit.known else []),
    ]:
        yield f"{', '.join(left_out)}."
    if audit.stale:
        entries = "entry of the baseline fits" if len(audit.stale) == 1 else "entries of the baseline fit"
        yield f"{len(audit.stale)} {entries} nothing any more (--update-baseline takes them out):"
        for entry in audit.stale[:_NAMED]:
            yield f"    {_bounded(entry.path)}: {entry.code} {_bounded(entry.message)}"
        if len(audit.stale) > _NAMED:
            yield f"    and {len(audit.stale) - _NAMED} more"
    if audit.unknown:
        are = "request is" if len(audit.unknown) == 1 else "requests are"
        yield f"{len(audit.unknown)} {are} unknown (--show-unknown lists them)."
        if absent := [each for each in audit.unknown if each.absent]:
            plugins = ", ".join(sorted({inert(plugin) for each in absent for plugin in each.absent}))
            yield f"{len(absent)} of them may come from a plugin that is not installed here ({plugins}): --python names where tests run."


def _bounded(text: str) -> str:
    return middle(inert(text), _LONGEST)


def _styled(text: str, style: str) -> str:
    is_terminal = sys.stdout is not None and sys.stdout.isatty()  # None where it was closed
    is_coloured = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{style}m{text}\x1b[0m" if is_coloured else text
