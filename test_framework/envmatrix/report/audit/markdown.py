"""Findings as GitHub-flavoured Markdown: for a pull request's comment or a job's summary."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from envmatrix.analysis.audit.audit import AuditResult
from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.catalog import rule
from envmatrix.report.markdown import MOST, code
from envmatrix.report.text import plural

_NAMED = 5


def render(audit: AuditResult) -> str:
    """Return the report, cut where GitHub would refuse it."""
    kept: list[str] = []
    room = MOST
    for line in _lines(audit):
        room -= len(line.encode()) + 1
        if room < 0:
            kept += ["", "**Cut here: a summary may hold 1 MiB. `envmatrix audit` shows all.**"]
            break
        kept.append(line)
    return "\n".join(kept) + "\n"


def _lines(audit: AuditResult) -> Iterator[str]:
    yield "## Fixture audit"
    yield ""
    number = plural(len(audit.findings), "finding") if audit.findings else "✅ No findings"
    yield f"{number} in {plural(audit.tests, 'test')} of {plural(audit.files, 'file')}."
    left_out = {"suppressed by noqa": audit.suppressed, "known from the baseline": audit.known}
    left_out |= {"of the baseline fit nothing any more": len(audit.stale), "requests unknown": len(audit.unknown)}
    if any(left_out.values()):
        yield f"Beside them {', '.join(f'{count} {what}' for what, count in left_out.items() if count)}."
    by_code = sorted(audit.findings, key=lambda each: each.code)
    for found, findings in groupby(by_code, key=lambda each: each.code):
        yield from ("", f"### {found}: {rule(found).name}", "")
        for each in findings:
            yield from _finding(each)


def _finding(each: AuditFinding) -> Iterator[str]:
    yield f"- {code(f'{each.path}:{each.line}:{each.column}')} {code(each.message)}"
    if each.tests:
        more = f" and {len(each.tests) - _NAMED} more" if len(each.tests) > _NAMED else ""
        yield f"  - {plural(len(each.tests), 'test')}: {', '.join(map(code, each.tests[:_NAMED]))}{more}"
    if each.masked:
        yield f"  - masked by {code(each.masked)}: a run of pytest does not show it"
    if each.hint:
        yield f"  - {code(each.hint)}"
