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
from test_framework.analysis.summaries.summarize import place_of

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
    is_asked: bool = False
    _below: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._below = tuple(f"{sight}/" if sight else "" for sight in self.sights)

    def is_seen_from(self, path: str) -> bool:
        return path.startswith(self._below) or path in self.sights


def unused(index: Index, survey: Survey) -> Iterator[Fixture]:
    """Yield the fixtures whose names stand nowhere in sight of them but where they are defined."""
    if any(project.unread_plugins for project in index.projects):
        return
    candidates = [each for each in _candidates(survey) if _is_seen(survey, each)]
    if not candidates:
        return
    for plugin in _plugins(index):
        for each in candidates:
            each.is_asked = each.is_asked or _is_quoted(each.name, content(plugin))
    for path in _files(index, candidates):
        waiting = [each for each in candidates if not each.is_asked and each.is_seen_from(path)]
        if not waiting:
            continue
        text = content(index.root / path)
        is_computed = _COMPUTED.search(text) is not None
        for each in waiting:
            each.is_asked = is_computed or _is_written(each.name, text)
    yield from (each.fixture for each in candidates if not each.is_asked)


def _is_quoted(name: bytes, text: bytes) -> bool:
    return name in text and re.search(rb"[\"']" + re.escape(name) + rb"[\"']", text) is not None


def _is_written(name: bytes, text: bytes) -> bool:
    """Whether a name stands in a text other than as that of a function."""
    return name in text and re.search(rb"(?<!\bdef )\b" + re.escape(name) + rb"\b", text) is not None


def _candidates(survey: Survey) -> Iterator[_Candidate]:
    definitions: dict[tuple[str, int], list[Fixture]] = {}
    for fixture in survey.fixtures:
        definitions.setdefault((fixture.path, fixture.line), []).append(fixture)
    for place, provided in definitions.items():
        is_alone = all(place_of(each) in survey.alone for each in provided)  # else a plugin may ask for the name
        if place not in survey.answering and is_alone and all(_is_plain(each) for each in provided):
            sights = tuple(dict.fromkeys(each.holder.partition("::")[0] for each in provided))
            yield _Candidate(provided[0], sights, provided[0].name.encode())


def _is_plain(fixture: Fixture) -> bool:
    return bool(fixture.name) and fixture.is_certain and not fixture.is_autouse and not fixture.plugin


def _is_seen(survey: Survey, candidate: _Candidate) -> bool:
    """Whether tests see it, and all files in sight could be read."""
    return any(map(candidate.is_seen_from, survey.tested)) and not any(map(candidate.is_seen_from, survey.unread))


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
