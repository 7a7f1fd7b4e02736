"""The summaries of a tree: of its test files, its conftests and its plugins."""

from __future__ import annotations

from dataclasses import dataclass, field

from envmatrix.analysis.audit.summaries.kept import Kept, NoqaLines
from envmatrix.analysis.audit.summaries.summarize import Summarizer
from envmatrix.analysis.audit.summaries.summary import Summary
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.source.cache import Cache


@dataclass(frozen=True, slots=True)
class Summaries:
    """What the rules need to know of a tree. Paths are relative to its root, or absolute where a file is installed."""

    files: dict[str, Summary] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    """Files that could not be read, and why."""
    noqa: dict[str, NoqaLines] = field(default_factory=dict)
    """Lines with a comment `# noqa`, and the codes that each names."""

    @classmethod
    def of(cls, index: Index, cache: Cache | None = None) -> Summaries:
        """Summarize every file of an index; what an earlier run kept in a cache, and still holds, is taken from there."""
        kept = Kept(cache, index, index.inputs) if cache is not None and index.inputs is not None else None
        summarizer = Summarizer(index)
        known = kept.summaries if kept is not None else {}
        found = cls()
        for project in index.projects:
            plugins = f"{project.directory}:"
            found.files[plugins] = known.get(plugins) or summarizer.of_plugins(project)
            for path in project.conftests:
                found.files[path] = known.get(path) or summarizer.of_conftest(project, path)
            for path in project.test_files:
                found.files[path] = known.get(path) or summarizer.of_tests(path)
        if kept is not None:
            for path, basis in kept.complete(found.files).items():
                found._add(path, basis.unread, basis.noqa)
        for path, head in index.modules.heads():
            found._add(path, head.unread, head.noqa)
        return found

    def _add(self, path: str, unread: str, noqa: NoqaLines) -> None:
        if unread:
            self.unread[path] = unread
        if noqa and not path.startswith("/"):
            self.noqa[path] = noqa
