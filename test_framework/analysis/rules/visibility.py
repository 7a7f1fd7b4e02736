"""EM1xx: what is asked for, and what can be seen from there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from test_framework.analysis.answers import Fixture, Found, Request, Unknown
from test_framework.analysis.findings import Finding
from test_framework.analysis.index import Index
from test_framework.analysis.rules.nearest import Nearest
from test_framework.analysis.rules.rule import Rule
from test_framework.analysis.rules.survey import Group, Survey, circles, masked
from test_framework.analysis.rules.unused import unused
from test_framework.analysis.scopes import Scope, Test

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
    Rule("EM199", "unused-noqa", "A `# noqa` names one of these codes and suppresses nothing."),
)

_LINE = re.compile(r"line (\d+): ")
_STARTS_ENVIRONMENT = frozenset({"real_services", "real_llm"})


def findings(index: Index) -> Iterator[Finding]:
    """Yield what is wrong with what can be seen from where."""
    survey = Survey.of(index)
    yield from _missing(index, survey)
    yield from _mismatched(survey)
    yield from _overriding(survey)
    yield from _circular(index, survey)
    yield from _unused(index, survey)
    yield from _autouse(index)
    yield from _unread(index)
    yield from _unknown(survey)


def _missing(index: Index, survey: Survey) -> Iterator[Finding]:
    nearest = Nearest(index, {group.request.name for group in survey.missing.values()})
    for group in survey.missing.values():
        yield _finding("EM101", group, f"{_asks(group.request)}, and nobody above provides it", nearest.hint(group))


def _asks(request: Request) -> str:
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
        asker, answer = group.request.asker, group.request.answer
        if asker is None or not isinstance(answer, Found):
            continue
        narrow = answer.fixtures[0]
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
    for found in survey.found.values():
        for override, overridden in pairwise(found.fixtures):
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


def _circular(index: Index, survey: Survey) -> Iterator[Finding]:
    for fixtures, tests in circles(survey, index):
        first = min(range(len(fixtures)), key=lambda at: (fixtures[at].path, fixtures[at].line))
        ordered = (*fixtures[first:], *fixtures[:first])
        names = " → ".join(repr(each.name) for each in (*ordered, ordered[0]))
        places = ", ".join(f"{each.path}:{each.line}" for each in ordered)
        message = f"fixtures ask for each other: {names}" if len(ordered) > 1 else f"fixture asks for itself: {names}"
        hint = f"Break the circle in one of {places}" if len(ordered) > 1 else "Override another one, or take it out"
        at = ordered[0]
        yield Finding(at.path, at.line, at.column, "EM104", message, hint, _ids(tests), masked(tests))


def _unused(index: Index, survey: Survey) -> Iterator[Finding]:
    for each in unused(index, survey):
        message = f"fixture {each.name!r} is asked for by nobody"
        yield Finding(each.path, each.line, each.column, "EM105", message, "Remove it")


def _autouse(index: Index) -> Iterator[Finding]:
    surprised: dict[tuple[str, int], tuple[Fixture, str, list[Test]]] = {}
    starting: dict[int, list[tuple[Fixture, str]]] = {}
    for test in index.tests:
        if test.scope is None or not test.scope.autouse:
            continue
        if (known := starting.get(id(test.scope))) is None:
            known = starting[id(test.scope)] = list(_starting(test.scope))
        for fixture, contract in known:
            if not any(_starts(test.scope, need.name) for need in test.needs):
                surprised.setdefault((fixture.path, fixture.line), (fixture, contract, []))[2].append(test)
    for fixture, contract, tests in surprised.values():
        message = (
            f"autouse fixture {fixture.name!r} asks for {contract!r}: tests that do not ask start the environment, too"
        )
        hint = "Take autouse away and let the tests that need it ask, or move it to their own conftest.py"
        yield Finding(fixture.path, fixture.line, fixture.column, "EM106", message, hint, _ids(tests))


def _starting(scope: Scope) -> Iterator[tuple[Fixture, str]]:
    """Yield the autouse fixtures of conftests that start the environment, and by what."""
    for name in dict.fromkeys(scope.autouse):
        fixture = scope.find(name)[0]
        if fixture.path.endswith("conftest.py") and not fixture.plugin and (contract := _starts(scope, name)):
            yield fixture, contract


def _starts(scope: Scope, name: str) -> str:
    if name in _STARTS_ENVIRONMENT:
        return name
    return next((each.name for each in scope.closure((name,)) if each.name in _STARTS_ENVIRONMENT), "")


def _unread(index: Index) -> Iterator[Finding]:
    for path, module in index.modules.items():
        if module.unread:
            found = _LINE.match(module.unread)
            line = int(found[1]) if found else 1
            message = f"this file cannot be read: {_LINE.sub('', module.unread, count=1)}"
            yield Finding(path, line, 1, "EM107", message, "Mend it, or audit with the Python that it is written for")


def _unknown(survey: Survey) -> Iterator[Finding]:
    for group in survey.unknown.values():
        why = group.request.answer.why if isinstance(group.request.answer, Unknown) else ""
        name = repr(group.request.name) if group.request.name else "a fixture"
        yield _finding("EM108", group, f"nobody knows whether {name} is provided: {why}")


def _ids(tests: Sequence[Test]) -> tuple[str, ...]:
    return tuple(test.nodeid for test in tests)


def _finding(code: str, group: Group, message: str, hint: str = "") -> Finding:
    request = group.request
    return Finding(request.path, request.line, request.column, code, message, hint, group.nodeids, group.masked)
