"""The summaries of a tree: its test files, its conftests and its plugins."""

from __future__ import annotations

from dataclasses import dataclass, field

from envmatrix.analysis.audit.summaries.cached import CachedSummaries, NoqaLines
from envmatrix.analysis.audit.summaries.summarize import Summarizer
from envmatrix.analysis.audit.summaries.summary import FileSummary
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.source.cache import Cache
from envmatrix.analysis.source.facts import Unread


@dataclass(frozen=True, slots=True)
class TreeSummaries:
    """The summaries of a tree's files. Paths are relative to its root; absolute for installed files."""

    files: dict[str, FileSummary] = field(default_factory=dict)
    unread: dict[str, Unread] = field(default_factory=dict)
    """Files that could not be read, and why."""
    noqa: dict[str, NoqaLines] = field(default_factory=dict)
    """Lines with a comment `# noqa`, and the codes that each names."""

    @classmethod
    def of(cls, index: Index, cache: Cache | None = None) -> TreeSummaries:
        """Summarize every file of an index; summaries that are cached and still valid are reused."""
        cached = CachedSummaries(cache, index, index.inputs) if cache is not None and index.inputs is not None else None
        summarizer = Summarizer(index)
        known = cached.summaries if cached is not None else {}
        summaries = cls()
        for project in index.projects:
            plugins = f"{project.directory}:"
            summaries.files[plugins] = known.get(plugins) or summarizer.of_plugins(project)
            for path in project.conftests:
                summaries.files[path] = known.get(path) or summarizer.of_conftest(project, path)
            for path in project.test_files:
                summaries.files[path] = known.get(path) or summarizer.of_tests(path)
        if cached is not None:
            for path, basis in cached.complete(summaries.files).items():
                summaries._add(path, basis.unread, basis.noqa)
        for path, head in index.modules.heads():
            summaries._add(path, head.unread, head.noqa)
        return summaries

    def _add(self, path: str, unread: Unread | None, noqa: NoqaLines) -> None:
        if unread:
            self.unread[path] = unread
        if noqa and not path.startswith("/"):
            self.noqa[path] = noqa
