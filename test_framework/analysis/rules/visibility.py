"""EM1xx: what is asked for, and what can be seen from there."""

from __future__ import annotations

from collections.abc import Iterator

from test_framework.analysis.findings import Finding
from test_framework.analysis.index import Index
from test_framework.analysis.rules.rule import Rule

RULES = (
    Rule("EM101", "fixture-not-provided", "A test or fixture asks for a fixture that nobody above it provides."),
    Rule("EM102", "scope-mismatch", "A fixture asks for one of a narrower scope, which pytest refuses."),
    Rule("EM103", "changed-by-override", "A fixture overrides another one, and changes its scope or what it yields."),
    Rule("EM104", "circular-dependency", "Fixtures ask for each other, and none of them can be the first."),
    Rule("EM105", "unused-fixture", "A fixture of this tree is asked for by nobody."),
    Rule(
        "EM106",
        "autouse-starts-environment",
        "An autouse fixture starts the environment for tests that do not ask for it.",
    ),
    Rule("EM107", "unread-file", "A file could not be read, so that silence about it proves nothing."),
    Rule("EM108", "unknown-request", "The source does not tell whether a request is answered. Off unless it is named."),
    Rule("EM199", "unused-noqa", "A `# noqa` names one of these codes, and suppresses nothing."),
)


def findings(index: Index) -> Iterator[Finding]:
    """Yield what is wrong with the visibility of fixtures."""
    yield from _unread(index)


def _unread(index: Index) -> Iterator[Finding]:
    for path, module in index.modules.items():
        if module.unread:
            yield Finding(path, 1, 1, "EM107", f"this file cannot be read: {module.unread}")
