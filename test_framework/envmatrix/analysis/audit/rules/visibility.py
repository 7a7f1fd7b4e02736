"""EM1xx: requests for fixtures, and the fixtures in sight of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.nearest_provider import NearestProviders
from envmatrix.analysis.audit.rules.rule import AuditRule
from envmatrix.analysis.audit.rules.survey import RequestGroup, Survey, masked, nodeids
from envmatrix.analysis.audit.rules.unused_fixtures import unused
from envmatrix.analysis.audit.summaries.summary import RequestSite
from envmatrix.analysis.index.fixture_index import Index

RULES = (
    AuditRule(
        "EM101",
        "fixture-not-found",
        "A test or a fixture asks for a fixture of which none is in sight.",
        is_fixable=True,
    ),
    AuditRule("EM102", "scope-mismatch", "A fixture asks for one of a narrower scope, which pytest refuses."),
    AuditRule("EM104", "circular-dependency", "Fixtures ask for each other in a cycle."),
    AuditRule("EM105", "unused-fixture", "Nothing asks for a fixture of this tree."),
    AuditRule(
        "EM106",
        "autouse-starts-environment",
        "An autouse fixture starts the environment for tests that do not ask for it.",
    ),
    AuditRule("EM107", "unread-file", "A file could not be read, so that the audit says nothing about it."),
    AuditRule(
        "EM108",
        "unknown-request",
        "The source does not tell whether a request is answered.",
        is_opt_in=True,
    ),
    AuditRule("EM199", "unused-noqa", "A `# noqa` names one of these codes and suppresses nothing.", is_fixable=True),
)


def findings(index: Index, survey: Survey) -> Iterator[AuditFinding]:
    """Yield requests without an answer, wrong scopes, cycles, unused fixtures and unread files."""
    yield from _missing(index, survey)
    yield from _mismatched(survey)
    yield from _circular(survey)
    yield from _unused(index, survey)
    yield from _autouse(survey)
    yield from _unread(survey)
    yield from _unknown(survey)


def _missing(index: Index, survey: Survey) -> Iterator[AuditFinding]:
    nearest = NearestProviders(index, survey, {group.request.name for group in survey.missing.values()})
    for group in survey.missing.values():
        yield _finding(
            "EM101", group, f"{_asks(group.request)}, and none of that name is in sight", nearest.hint(group)
        )


def _asks(request: RequestSite) -> str:
    if request.asker is not None:
        return f"fixture {request.asker.name!r} asks for {request.name!r}"
    match request.how:
        case "usefixtures":
            return f"usefixtures names {request.name!r}"
        case "getfixturevalue":
            return f"getfixturevalue asks for {request.name!r}"
        case _:
            return f"fixture {request.name!r} is asked for"


def _mismatched(survey: Survey) -> Iterator[AuditFinding]:
    for group in survey.mismatched.values():
        asker, narrow = group.request.asker, group.request.given
        if asker is None or narrow is None:
            continue
        message = f"fixture {asker.name!r} of scope {asker.scope} asks for {narrow.name!r} of scope {narrow.scope}"
        if asker.plugin:  # its source is not ours to change
            hint = f"{asker.name!r} is of the plugin {asker.plugin}: widen {narrow.name!r} to scope {asker.scope}"
            yield AuditFinding(
                narrow.path, narrow.line, narrow.column, "EM102", message, hint, group.nodeids, group.masked
            )
            continue
        where = f" ({narrow.path}:{narrow.line})" if not narrow.plugin else ""
        narrowed = f"Narrow {asker.name!r} to scope {narrow.scope}"
        widened = f", or widen {narrow.name!r}{where} to {asker.scope}" if not narrow.plugin else ""
        yield _finding("EM102", group, message, narrowed + widened)


def _circular(survey: Survey) -> Iterator[AuditFinding]:
    for fixtures, tests in survey.cycles.values():
        first = min(range(len(fixtures)), key=lambda at: (fixtures[at].path, fixtures[at].line))
        ordered = (*fixtures[first:], *fixtures[:first])
        names = " → ".join(repr(each.name) for each in (*ordered, ordered[0]))
        places = ", ".join(f"{each.path}:{each.line}" for each in ordered)
        message = f"fixtures ask for each other: {names}" if len(ordered) > 1 else f"fixture asks for itself: {names}"
        hint = f"Break the cycle in one of {places}" if len(ordered) > 1 else "Override another one, or take it out"
        at = ordered[0]
        yield AuditFinding(at.path, at.line, at.column, "EM104", message, hint, nodeids(tests), masked(tests))


def _unused(index: Index, survey: Survey) -> Iterator[AuditFinding]:
    for each in unused(index, survey):
        message = f"fixture {each.name!r} is never asked for"
        yield AuditFinding(each.path, each.line, each.column, "EM105", message, "Remove it")


def _autouse(survey: Survey) -> Iterator[AuditFinding]:
    for fixture, contract, tests in survey.surprises.values():
        message = (
            f"autouse fixture {fixture.name!r} asks for {contract!r}: tests that do not ask start the environment, too"
        )
        hint = "Take autouse away and let the tests that need it ask, or move it to their own conftest.py"
        yield AuditFinding(fixture.path, fixture.line, fixture.column, "EM106", message, hint, nodeids(tests))


def _unread(survey: Survey) -> Iterator[AuditFinding]:
    for path, unread in survey.unread.items():
        message = f"this file cannot be read: {unread.reason}"
        hint = "Mend it, or audit with the Python that it is written for"
        yield AuditFinding(path, unread.line, 1, "EM107", message, hint)


def _unknown(survey: Survey) -> Iterator[AuditFinding]:
    for group in survey.unknown.values():
        name = repr(group.request.name) if group.request.name else "a fixture"
        message = f"the source does not tell whether {name} is provided"
        finding = _finding("EM108", group, message, f"The reason: {group.request.why}")
        yield replace(finding, absent=group.request.absent)


def _finding(code: str, group: RequestGroup, message: str, hint: str = "") -> AuditFinding:
    request = group.request
    return AuditFinding(request.path, request.line, request.column, code, message, hint, group.nodeids, group.masked)
