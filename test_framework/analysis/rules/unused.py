"""Fixtures that nobody asks for. One that anything might still ask for is not among them: there are no false ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from test_framework.analysis.answers import Fixture
from test_framework.analysis.index import Index
from test_framework.analysis.rules.files import content, files_below
from test_framework.analysis.rules.survey import Survey

_COMPUTED = re.compile(
    rb"getfixturevalue(?!\s*\(\s*[\"'])"  # of a name that is computed, or handed on as a function
    rb"|usefixtures\s*\(\s*(?![\"'\s)])"
    rb"|fixturenames|_fixtureinfo|lazy_fixture|\blf\s*\("
)
"""Ways to ask for a fixture without writing its name as a whole, each of which may be any that can be seen from there."""

_SEARCHED = (".py", ".pyi", ".rst", ".txt", ".md", ".feature", ".yaml", ".yml", ".ini", ".cfg", ".toml")
"""Files that may ask: doctests and scenarios do, too."""


@dataclass(slots=True)
class _Candidate:
    """A definition that answers no request that is seen, and the directories and files from where it could be."""

    fixture: Fixture
    sights: tuple[str, ...]
    name: bytes
    """Escaped for a pattern."""
    is_asked: bool = False

    def is_seen_from(self, path: str) -> bool:
        return any(not sight or path == sight or path.startswith(f"{sight}/") for sight in self.sights)


def unused(index: Index, survey: Survey) -> Iterator[Fixture]:
    """Yield the fixtures whose names stand nowhere in sight of them but where they are defined."""
    candidates = [each for each in _candidates(index, survey) if _is_seen(index, each)]
    if not candidates:
        return
    for plugin in _plugins(index):
        for each in candidates:
            each.is_asked = each.is_asked or re.search(rb"[\"']" + each.name + rb"[\"']", content(plugin)) is not None
    for path in _files(index, candidates):
        waiting = [each for each in candidates if not each.is_asked and each.is_seen_from(path)]
        if not waiting:
            continue
        text = content(index.root / path)
        is_computed = _COMPUTED.search(text) is not None
        for each in waiting:
            each.is_asked = is_computed or re.search(rb"(?<!\bdef )\b" + each.name + rb"\b", text) is not None
    yield from (each.fixture for each in candidates if not each.is_asked)


def _candidates(index: Index, survey: Survey) -> Iterator[_Candidate]:
    answering = {(each.path, each.line) for found in survey.found.values() for each in found.fixtures}
    definitions: dict[tuple[str, int], list[Fixture]] = {}
    for fixture in index.fixtures:
        definitions.setdefault((fixture.path, fixture.line), []).append(fixture)
    for place, provided in definitions.items():
        if place in answering or not all(_is_plain(each) for each in provided):
            continue
        sights = tuple(dict.fromkeys(each.holder.partition("::")[0] for each in provided))
        yield _Candidate(provided[0], sights, re.escape(provided[0].name.encode()))


def _is_plain(fixture: Fixture) -> bool:
    return bool(fixture.name) and fixture.is_certain and not fixture.is_autouse and not fixture.plugin


def _is_seen(index: Index, candidate: _Candidate) -> bool:
    """Whether tests see it, all files in sight could be read, and it overrides nothing that a plugin asks for by itself."""
    if any(module.unread for path, module in index.modules.items() if candidate.is_seen_from(path)):
        return False
    if any(project.unread_plugins for project in index.projects):
        return False
    name = candidate.fixture.name
    tests = (test for test in index.tests if test.scope is not None and candidate.is_seen_from(test.path))
    test = next(tests, None)
    return test is not None and test.scope is not None and len(test.scope.find(name)) <= 1


def _plugins(index: Index) -> Iterable[Path]:
    """Return the files of plugins, which may ask for what a project is to define; pytest's own do not."""
    return {index.root / path for project in index.projects for name, path in project.plugins if name != "pytest"}


def _files(index: Index, candidates: Sequence[_Candidate]) -> Iterator[str]:
    """Yield all files in sight of any of the candidates, relative to the root."""
    sights = {sight for each in candidates for sight in each.sights}
    modules = sorted(sight for sight in sights if sight.endswith(".py"))
    yield from modules
    done: list[str] = []
    for sight in sorted(sights.difference(modules)):
        if not any(not each or sight.startswith(f"{each}/") for each in done):
            done.append(sight)
            for path in files_below(index.root / sight, _SEARCHED):
                if (relative := path.relative_to(index.root).as_posix()) not in sights:
                    yield relative
