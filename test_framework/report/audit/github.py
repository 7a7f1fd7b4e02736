"""Findings as annotations on a pull request's diff: workflow commands of GitHub Actions, no more than it shows."""

from __future__ import annotations

from test_framework.analysis.audit import Audit
from test_framework.analysis.findings import Finding
from test_framework.report.audit.text import affected, plural
from test_framework.report.github import MOST, command


def render(audit: Audit) -> str:
    """Return one command a line; the last says how many are left where GitHub would drop them."""
    lines = [_annotation(each) for each in audit.findings]
    if len(lines) > MOST:
        left = plural(len(lines) - MOST + 1, "more finding")
        lines[MOST - 1 :] = [command("envmatrix audit", f"and {left}: envmatrix audit shows them all")]
    return "".join(f"{line}\n" for line in lines)


def _annotation(each: Finding) -> str:
    masked = f"masked by {each.masked}" if each.masked else ""
    tests = affected(each.tests) if each.tests else ""
    text = ". ".join(part for part in (each.message, tests, masked, each.hint) if part)
    return command(each.code, text, each.path, str(each.line))
