"""EM1xx: what is asked for, and what can be seen from there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envmatrix.analysis.audit.findings import Finding
from envmatrix.analysis.audit.rules.nearest import Nearest
from envmatrix.analysis.audit.rules.rule import Rule
from envmatrix.analysis.audit.rules.survey import Group, Survey, masked, nodeids
from envmatrix.analysis.audit.rules.unused import unused
from envmatrix.analysis.audit.summaries.summary import Asked
from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.fixture_index import Index

RULES = (
    Rule(
        "EM101",
        "fixture-not-found",
        "A test or a fixture asks for a fixture that nobody above provides.",
        is_fixable=True,
    ),
    Rule("EM102", "scope-mismatch", "A fixture asks for one of a narrower scope, which pytest refuses."),
    Rule("EM103", "scope-changed-by-override", "A fixture overrides another one and changes its scope."),
    Rule("EM104", "circular-dependency", "Fixtures ask for each other, so that none of them can be the first."),
    Rule("EM105", "unused-fixture", "A fixture of this tree is asked for by nobody."),
    Rule(
        "EM106",
        "autouse-starts-environment",
        "An autouse fixture starts the environment for tests that do not ask for it.",
    ),
    Rule("EM107", "unread-file", "A file could not be read, so that silence about it proves nothing."),
    Rule("EM108", "unknown-request", "The source does not tell whether a request is answered; off unless it is named."),
    Rule("EM199", "unused-noqa", "A `# noqa` names one of these codes and suppresses nothing.", is_fixable=True),
)

_LINE = re.compile(r"line (\d+): ")


def findings(index: Index, survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with what can be seen from where."""
    yield from _missing(index, survey)
    yield from _mismatched(survey)
    yield from _overriding(survey)
    yield from _circular(survey)
    yield from _unused(index, survey)
    yield from _autouse(survey)
    yield from _unread(survey)
    yield from _unknown(survey)


def _missing(index: Index, survey: Survey) -> Iterator[Finding]:
    nearest = Nearest(index, survey, {group.request.name for group in survey.missing.values()})
    for group in survey.missing.values():
        yield _finding("EM101", group, f"{_asks(group.request)}, and nobody above provides it", nearest.hint(group))


def _asks(request: Asked) -> str:
    if request.asker is not None:
        return f"fixture {request.asker.name!r} asks for {request.name!r}"
    match request.how:
        case "usefixtures":
            return f"usefixtures names {request.name!r}"
        case "getfixturevalue":
            return f"getfixturevalue asks for {request.name!r}"
        case _:
            return f"fixture {request.name!r} is asked for"


def _mismatched(survey: Survey) -> Iterator[Finding]:
    for group in survey.mismatched.values():
        asker, narrow = group.request.asker, group.request.given
        if asker is None or narrow is None:
            continue
        message = f"fixture {asker.name!r} of scope {asker.scope} asks for {narrow.name!r} of scope {narrow.scope}"
        if asker.plugin:  # its source is not ours to change
            hint = f"{asker.name!r} is of the plugin {asker.plugin}: widen {narrow.name!r} to scope {asker.scope}"
            yield Finding(narrow.path, narrow.line, narrow.column, "EM102", message, hint, group.nodeids, group.masked)
            continue
        where = f" ({narrow.path}:{narrow.line})" if not narrow.plugin else ""
        narrowed = f"Narrow {asker.name!r} to scope {narrow.scope}"
        widened = f", or widen {narrow.name!r}{where} to {asker.scope}" if not narrow.plugin else ""
        yield _finding("EM102", group, message, narrowed + widened)


def _overriding(survey: Survey) -> Iterator[Finding]:
    seen = set()
    for override, overridden in survey.overriding.values():
        key = (override.path, override.line, overridden.path, overridden.line)
        if key in seen or not _changes_scope(override, overridden):
            continue
        seen.add(key)
        message = (
            f"fixture {override.name!r} overrides the one of {overridden.path} and changes its scope "
            f"from {overridden.scope} to {override.scope}"
        )
        hint = f"Give it the scope of {overridden.path}:{overridden.line}, or another name"
        yield Finding(override.path, override.line, override.column, "EM103", message, hint)


def _changes_scope(override: Fixture, overridden: Fixture) -> bool:
    """Whether an override is seen to; of a plugin's fixture it is meant to be changed."""
    return (
        bool(override.scope and overridden.scope)
        and override.scope != overridden.scope
        and not overridden.plugin
        and override.is_certain
        and overridden.is_certain
    )


def _circular(survey: Survey) -> Iterator[Finding]:
    for fixtures, tests in survey.circles.values():
        first = min(range(len(fixtures)), key=lambda at: (fixtures[at].path, fixtures[at].line))
        ordered = (*fixtures[first:], *fixtures[:first])
        names = " → ".join(repr(each.name) for each in (*ordered, ordered[0]))
        places = ", ".join(f"{each.path}:{each.line}" for each in ordered)
        message = f"fixtures ask for each other: {names}" if len(ordered) > 1 else f"fixture asks for itself: {names}"
        hint = f"Break the circle in one of {places}" if len(ordered) > 1 else "Override another one, or take it out"
        at = ordered[0]
        yield Finding(at.path, at.line, at.column, "EM104", message, hint, nodeids(tests), masked(tests))


def _unused(index: Index, survey: Survey) -> Iterator[Finding]:
    for each in unused(index, survey):
        message = f"fixture {each.name!r} is asked for by nobody"
        yield Finding(each.path, each.line, each.column, "EM105", message, "Remove it")


def _autouse(survey: Survey) -> Iterator[Finding]:
    for fixture, contract, tests in survey.surprises.values():
        message = (
            f"autouse fixture {fixture.name!r} asks for {contract!r}: tests that do not ask start the environment, too"
        )
        hint = "Take autouse away and let the tests that need it ask, or move it to their own conftest.py"
        yield Finding(fixture.path, fixture.line, fixture.column, "EM106", message, hint, nodeids(tests))


def _unread(survey: Survey) -> Iterator[Finding]:
    for path, why in survey.unread.items():
        found = _LINE.match(why)
        line = int(found[1]) if found else 1
        message = f"this file cannot be read: {_LINE.sub('', why, count=1)}"
        yield Finding(path, line, 1, "EM107", message, "Mend it, or audit with the Python that it is written for")


def _unknown(survey: Survey) -> Iterator[Finding]:
    for group in survey.unknown.values():
        name = repr(group.request.name) if group.request.name else "a fixture"
        yield _finding("EM108", group, f"nobody knows whether {name} is provided: {group.request.why}")


def _finding(code: str, group: Group, message: str, hint: str = "") -> Finding:
    request = group.request
    return Finding(request.path, request.line, request.column, code, message, hint, group.nodeids, group.masked)
