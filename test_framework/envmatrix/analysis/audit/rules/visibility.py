"""EM1xx: requests for fixtures, and the fixtures in sight of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.nearest_provider import NearestProviders
from envmatrix.analysis.audit.rules.rule import AuditRule
from envmatrix.analysis.audit.rules.survey import RequestGroup, Survey, masked, nodeids
from envmatrix.analysis.audit.rules.unused_fixtures import unused
from envmatrix.analysis.audit.summaries.summary import RequestSite
from envmatrix.analysis.index.answers import Outdated
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
    AuditRule("EM109", "marked-fixture", "A fixture has a mark, which has no effect and which pytest 9 refuses."),
    AuditRule(
        "EM110",
        "fixture-as-instance-method",
        "A fixture of a wider scope is a method of an instance that its tests never see; deprecated by pytest 9.1.",
    ),
    AuditRule(
        "EM111",
        "async-fixture-without-plugin",
        "A test uses an async fixture that no plugin runs; refused by pytest 9.",
    ),
    AuditRule("EM112", "yield-fixture", "A fixture is made by `pytest.yield_fixture`, which is deprecated."),
    AuditRule("EM199", "unused-noqa", "A `# noqa` names one of these codes and suppresses nothing.", is_fixable=True),
)


def findings(index: Index, survey: Survey) -> Iterator[AuditFinding]:
    """Yield requests without an answer, wrong scopes, cycles, unused fixtures and unread files."""
    yield from _missing(index, survey)
    yield from _mismatched(survey)
    yield from _circular(survey)
    yield from _unused(index, survey)
    yield from _autouse(survey)
    if index.projects:
        yield from _outdated(survey, index.projects[0].pytest)
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
        if narrow.plugin == "pytest-asyncio":  # its event loop's
            narrowed += f', or give it loop_scope="{asker.scope}"'
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


_MANY = 100
"""Unknown requests for one reason that are listed one by one."""
_OUTDATED: Mapping[Outdated, tuple[str, tuple[int, ...], str, str]] = {
    "mark": (
        "EM109",
        (7, 4),
        "fixture {!r} has a mark, which has no effect",
        "Remove the mark; ask for fixtures by arguments, and mark the tests",
    ),
    "method": (
        "EM110",
        (9, 1),
        "fixture {!r} of scope {} is an instance method: tests do not see what it sets on self",
        "Write @classmethod below @pytest.fixture and set attributes on cls, or move it out of the class",
    ),
    "yield": ("EM112", (6, 2), "fixture {!r} is made by pytest.yield_fixture", "Write @pytest.fixture: it is the same"),
}
"""Way of writing → code, the first version of pytest that warns, message, hint."""


def _outdated(survey: Survey, version: tuple[int, ...]) -> Iterator[AuditFinding]:
    """Yield what the installed pytest warns of or refuses."""
    for fixture in {(each.path, each.line): each for each in survey.fixtures if each.outdated}.values():
        tests = survey.users_of(fixture.path, fixture.line)
        for way in fixture.outdated:
            code, since, message, hint = _OUTDATED[way]
            if version >= since and (tests or way != "method"):
                message = message.format(fixture.name, fixture.scope)
                at = fixture.path, fixture.line, fixture.column
                yield AuditFinding(*at, code, message, hint, nodeids(tests), masked(tests))
    for unhandled, affected in survey.unhandled.values() if version >= (8, 4) else ():
        message = f"fixture {unhandled.name!r} is async, and no plugin runs it for the tests that ask for it"
        hint = "Make it with pytest_asyncio.fixture, mark the tests with anyio, or make it a plain function"
        at = unhandled.path, unhandled.line, unhandled.column
        yield AuditFinding(*at, "EM111", message, hint, nodeids(affected), masked(affected))


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
    """Yield each unknown request; very many for one reason are one finding."""
    by_reason: dict[str, list[RequestGroup]] = defaultdict(list)
    for group in survey.unknown.values():
        by_reason[group.request.why].append(group)
    for why, groups in by_reason.items():
        if len(groups) <= _MANY:
            for group in groups:
                name = repr(group.request.name) if group.request.name else "a fixture"
                message = f"the source does not tell whether {name} is provided"
                finding = _finding("EM108", group, message, f"The reason: {why}")
                yield replace(finding, absent=group.request.absent)
            continue
        whole = RequestGroup(groups[0].request, [test for group in groups for test in group.tests])
        message = f"the source does not tell whether {len(groups)} requests are answered, all for one reason"
        hint = f"The reason: {why}. Install it where --python points to, or put it on pythonpath"
        yield replace(_finding("EM108", whole, message, hint), absent=whole.request.absent)


def _finding(code: str, group: RequestGroup, message: str, hint: str = "") -> AuditFinding:
    request = group.request
    return AuditFinding(request.path, request.line, request.column, code, message, hint, group.nodeids, group.masked)
