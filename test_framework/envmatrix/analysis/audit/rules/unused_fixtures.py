"""Fixtures that nothing asks for. One that something might still ask for is not among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from envmatrix.analysis.audit.rules.file_search import SearchPattern
from envmatrix.analysis.audit.rules.survey import Survey
from envmatrix.analysis.audit.summaries.summarize import place_of
from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.fixture_index import Index

_COMPUTED = (
    SearchPattern(b"fixture", rb"getfixturevalue(?!\s*\(\s*[\"'])"),  # of a name that is computed, or handed on
    SearchPattern(b"fixture", rb"usefixtures\s*\(\s*(?![\"'\s)])"),
    SearchPattern(b"fixture", rb"fixturenames|_fixtureinfo|lazy_fixture"),
    SearchPattern(b"lf(", rb"lf\((?<!\wlf\()"),
)
"""Ways to ask for a fixture without its whole name: each may ask for any fixture in sight."""

_SEARCHED = (".py", ".pyi", ".rst", ".txt", ".md", ".feature", ".yaml", ".yml", ".ini", ".cfg", ".toml")
"""Endings of files that may ask for a fixture: doctests and scenarios too."""


@dataclass(slots=True)
class _Candidate:
    """A definition that answers no known request, and the directories and files that see it."""

    fixture: Fixture
    sights: tuple[str, ...]
    name: bytes
    is_asked: bool = False
    _below: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._below = tuple(f"{sight}/" if sight else "" for sight in self.sights)

    def is_seen_from(self, path: str) -> bool:
        return path.startswith(self._below) or path in self.sights


def unused(index: Index, survey: Survey) -> Iterator[Fixture]:
    """Yield the fixtures whose names occur nowhere in their sight but in their definition."""
    seen, unread = _places(survey.tested), _places((*survey.unread, *survey.unread_imports))
    candidates = [
        each
        for each in _candidates(survey)  # what tests see, where all files and what they import could be read
        if not seen.isdisjoint(each.sights) and unread.isdisjoint(each.sights)
    ]
    plugins = [index.plugins.of(project) for project in index.projects] if candidates else []
    if not candidates or any(project.unread_plugins for project in index.projects) or any(lost for _, lost in plugins):
        return
    names = [re.escape(each.name) for each in candidates]
    quoted = [
        SearchPattern(each.name, name + rb"(?<=[\"']" + name + rb")[\"']")
        for each, name in zip(candidates, names, strict=True)
    ]
    for _, hits in survey.texts.search(_plugins(index), quoted):
        for hit in hits:
            candidates[hit].is_asked = True
    written = [
        SearchPattern(each.name, name + rb"(?<!\w" + name + rb")(?<!\bdef " + name + rb")\b")
        for each, name in zip(candidates, names, strict=True)
    ]
    first = len(_COMPUTED)
    waiting = {at for at, each in enumerate(candidates, first) if not each.is_asked}
    wanted = {*range(first), *waiting}
    for path, hits in survey.texts.search(_files(survey, candidates), (*_COMPUTED, *written), wanted):
        asked = waiting if any(hit < first for hit in hits) else waiting & hits
        for at in [at for at in asked if candidates[at - first].is_seen_from(path)]:
            waiting.discard(at)
            wanted.discard(at)
        if not waiting:
            return
    yield from (candidates[at - first].fixture for at in sorted(waiting))


def _candidates(survey: Survey) -> Iterator[_Candidate]:
    missing = {group.request.name for group in survey.missing.values()}  # somebody asks: EM101 says what to do with it
    definitions: dict[tuple[str, int], list[Fixture]] = {}
    for fixture in survey.fixtures:
        if fixture.name in missing:
            continue
        definitions.setdefault((fixture.path, fixture.line), []).append(fixture)
    for place, provided in definitions.items():
        is_alone = all(place_of(each) in survey.alone for each in provided)  # else a plugin may ask for the name
        if place not in survey.answering and is_alone and all(_is_plain(each) for each in provided):
            sights = tuple(dict.fromkeys(each.holder.partition("::")[0] for each in provided))
            yield _Candidate(provided[0], sights, provided[0].name.encode())


def _is_plain(fixture: Fixture) -> bool:
    return bool(fixture.name) and fixture.is_certain and not fixture.is_autouse and not fixture.plugin


def _places(paths: Iterable[str]) -> set[str]:
    """Return files and all directories above them; the root is empty."""
    places: set[str] = set()
    for path in paths:
        place = path
        while place not in places:
            places.add(place)
            place = place.rpartition("/")[0]
    return places


def _plugins(index: Index) -> list[str]:
    """Return the files of plugins other than pytest's own: they may ask for fixtures that a project defines."""
    return sorted({path for project in index.projects for name, path in project.plugins if name != "pytest"})


def _files(survey: Survey, candidates: Sequence[_Candidate]) -> Iterator[str]:
    """Yield all files in sight of any of the candidates, relative to the root."""
    sights = {sight for each in candidates for sight in each.sights}
    modules = sorted(sight for sight in sights if sight.endswith(".py"))
    yield from modules
    done: list[str] = []
    for sight in sorted(sights.difference(modules)):
        if not any(not each or sight.startswith(f"{each}/") for each in done):
            done.append(sight)
            yield from (path for path in survey.texts.below(sight, _SEARCHED) if path not in sights)
