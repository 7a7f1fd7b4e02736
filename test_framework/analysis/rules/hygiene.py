"""EM3xx: tests and fixtures that hide a failure, and files that hold what must not stand in source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from test_framework.analysis.answers import Fixture, Found
from test_framework.analysis.findings import Finding
from test_framework.analysis.index import Index
from test_framework.analysis.rules.rule import Rule
from test_framework.analysis.rules.survey import masked
from test_framework.analysis.rules.users import Users
from test_framework.analysis.scopes import Test
from test_framework.analysis.source import Note

RULES = (
    Rule("EM301", "undocumented-fixture", "A fixture of a conftest has no docstring."),
    Rule("EM302", "secret-in-source", "What looks like a real secret stands in a test's source."),
    Rule("EM303", "host-in-source", "A test names the host that it speaks to."),
    Rule("EM304", "swallowed-provider-failure", "A fixture goes on where what it provides could not be made."),
    Rule("EM305", "skip-hides-outage", "A test or a fixture skips where a service does not answer."),
    Rule("EM306", "conditional-assertions", "All assertions of a test are under a condition of what it saw."),
    Rule("EM307", "swallowed-assertion", "The failure of an assertion is caught and dropped."),
    Rule("EM308", "test-cannot-fail", "A test, or an assertion of it, cannot fail."),
)

_HINTS = {
    "EM301": "Say in one line what the fixture gives, for whoever reads `pytest --fixtures`",
    "EM302": "Revoke it, then read it from the environment: git keeps what was once committed",
    "EM303": "Ask real_services for the URL, or declare the host in environments/NAME.toml",
    "EM304": "Let the exception through: pytest then reports an error where the fault is, not a failure of each test",
    "EM305": "Let it fail, or mark what not every environment has: @pytest.mark.requires(…)",
    "EM306": "Assert the condition first, or make a test of each case",
    "EM307": "Take the assertion out of the block, or catch only what the call under test raises",
    "EM308": "Assert what it is for, or mark it skip with the reason",
}
_OF_FIXTURES = frozenset({"EM304", "EM305"})


def findings(index: Index) -> Iterator[Finding]:
    """Yield what is badly kept in the tests, fixtures and files of a tree."""
    yield from _files(index)
    yield from _tests(index)
    yield from _fixtures(index)


def _finding(path: str, note: Note, tests: Sequence[Test] = ()) -> Finding:
    nodeids = tuple(test.nodeid for test in tests)
    return Finding(path, note.line, note.column, note.code, note.message, _HINTS[note.code], nodeids, masked(tests))


def _files(index: Index) -> Iterator[Finding]:
    paths = dict.fromkeys(path for project in index.projects for path in (*project.conftests, *project.test_files))
    for path in paths:
        for note in index.modules.module(path).notes:
            yield _finding(path, note)


def _tests(index: Index) -> Iterator[Finding]:
    found: dict[tuple[str, Note], list[Test]] = {}
    for test in index.tests:
        for note in test.function.notes:
            found.setdefault((test.defined_in, note), []).append(test)
    for (path, note), tests in found.items():
        if note.line != tests[0].line or note.code != "EM308" or not any(_is_no_test(index, test) for test in tests):
            yield _finding(path, note, tests)


def _is_no_test(index: Index, test: Test) -> bool:
    """Whether a test without a body says so, by a mark, or is there for the fixtures that it asks for."""
    if test.masked or any(need.name not in test.marks.parametrized for need in test.needs):
        return True
    own = (request.answer for request in index.requests(test) if request.how == "autouse")
    return any(answer.fixtures[0].path == test.path for answer in own if isinstance(answer, Found) and answer.fixtures)


def _fixtures(index: Index) -> Iterator[Finding]:
    own = {(fixture.path, fixture.line): fixture for fixture in index.fixtures}
    noted: dict[tuple[str, int], list[Note]] = {}
    for place, fixture in own.items():
        if _is_undocumented(fixture):
            message = f"fixture {fixture.name!r} has no docstring"
            yield _finding(fixture.path, Note("EM301", fixture.line, fixture.column, message))
        of_function = fixture.function.notes if fixture.function is not None else ()
        if hiding := [note for note in of_function if note.code in _OF_FIXTURES]:
            noted[place] = hiding
    users = Users(index)
    for place, notes in noted.items():
        for note in notes:
            yield _finding(place[0], note, users.of(*place))


def _is_undocumented(fixture: Fixture) -> bool:
    is_shared = fixture.path.rpartition("/")[2] == "conftest.py" and not fixture.name.startswith("_")
    return is_shared and fixture.function is not None and not fixture.function.document
