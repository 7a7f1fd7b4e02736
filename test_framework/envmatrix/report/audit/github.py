"""Findings as annotations on a pull request's diff: workflow commands of GitHub Actions, no more than it shows."""

from __future__ import annotations

from envmatrix.analysis.audit.audit import AuditResult
from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.report.audit.text import affected, checkout, prefix
from envmatrix.report.github import MOST, command
from envmatrix.report.text import plural


def render(audit: AuditResult) -> str:
    """Return one command a line, by code; the last says how many are left where GitHub would drop them."""
    before = prefix(audit.root, checkout())
    lines = [_annotation(each, before) for each in sorted(audit.findings, key=lambda each: each.code)]
    if len(lines) > MOST:
        left = plural(len(lines) - MOST + 1, "more finding")
        lines[MOST - 1 :] = [command("envmatrix audit", f"and {left}: envmatrix audit shows them all")]
    return "".join(f"{line}\n" for line in lines)


def _annotation(each: AuditFinding, before: str) -> str:
    masked = f"masked by {each.masked}" if each.masked else ""
    tests = affected(each.tests) if each.tests else ""
    text = ". ".join(part for part in (each.message, tests, masked, each.hint) if part)
    return command(each.code, text, before + each.path, str(each.line))
