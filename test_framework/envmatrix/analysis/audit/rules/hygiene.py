"""EM3xx: tests and fixtures that hide a failure, and hosts in source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.rule import AuditRule
from envmatrix.analysis.audit.rules.survey import AffectedTest, Survey, masked, nodeids
from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.project.plugins import has_environments
from envmatrix.analysis.source.facts import Note

RULES = (
    AuditRule("EM301", "undocumented-fixture", "A fixture of a conftest has no docstring.", is_opt_in=True),
    AuditRule("EM303", "host-in-source", "A test names the host that it connects to."),
    AuditRule(
        "EM304", "swallowed-provider-failure", "A fixture swallows the exception that kept it from providing its value."
    ),
    AuditRule("EM305", "skip-hides-outage", "A test or a fixture skips if a service does not answer."),
    AuditRule("EM306", "conditional-assertions", "All assertions of a test depend on a condition on what it observed."),
    AuditRule("EM307", "swallowed-assertion", "The failure of an assertion is caught and dropped."),
    AuditRule("EM308", "test-cannot-fail", "A test, or an assertion of it, cannot fail.", is_opt_in=True),
)

_HINTS = {
    "EM301": "Say in one line what the fixture gives, for readers of `pytest --fixtures`",
    "EM303": "Ask real_services for the URL, or declare the host in environments/NAME.toml",
    "EM304": "Let the exception through: pytest then reports an error where the fault is, not a failure of each test",
    "EM305": "Let it fail: where the service must be there, its absence is no reason to be green",
    "EM306": "Assert the condition first, or make a test of each case",
    "EM307": "Take the assertion out of the block, or catch only what the call under test raises",
    "EM308": "Assert what it is for, or mark it skip with the reason",
}
_OF_FIXTURES = frozenset({"EM304", "EM305"})
_Noted: TypeAlias = tuple[str, Note, Sequence[AffectedTest]]
"""The path of a note, the note, and the tests that it affects."""
_UNIT_TESTS = frozenset({"unit", "units", "unit_tests", "unittests"})
"""Directories whose tests connect to no host, whatever URL they name."""


_REQUIRES = "Let it fail, or mark what not every environment has: @pytest.mark.requires(…)"
"""The hint of EM305 where there are environments, and so our mark."""


def findings(index: Index, survey: Survey) -> Iterator[AuditFinding]:
    """Yield the findings in the tests, fixtures and files of a tree."""
    has = has_environments(index.root)
    hints = {**_HINTS, "EM305": _REQUIRES} if has else _HINTS
    for path, note, tests in (*_noted(survey), *_fixtures(survey), *(_hosts(survey) if has else ())):
        yield AuditFinding(
            path, note.line, note.column, note.code, note.message, hints[note.code], nodeids(tests), masked(tests)
        )


def _hosts(survey: Survey) -> Iterator[_Noted]:
    for path, note in survey.notes:
        if _UNIT_TESTS.isdisjoint(path.split("/")[:-1]):
            yield path, note, ()


def _noted(survey: Survey) -> Iterator[_Noted]:
    for (path, note), (is_meant, tests) in survey.noted.items():
        if not is_meant:
            yield path, note, tests


def _fixtures(survey: Survey) -> Iterator[_Noted]:
    for (path, line), fixture in {(each.path, each.line): each for each in survey.fixtures}.items():
        if _is_undocumented(fixture):
            yield path, Note("EM301", line, fixture.column, f"fixture {fixture.name!r} has no docstring"), ()
        for note in fixture.function.notes if fixture.function is not None else ():
            if note.code in _OF_FIXTURES:
                yield path, note, survey.users_of(path, line)


def _is_undocumented(fixture: Fixture) -> bool:
    is_shared = fixture.path.rpartition("/")[2] == "conftest.py" and not fixture.name.startswith("_")
    return is_shared and fixture.function is not None and not fixture.function.document
