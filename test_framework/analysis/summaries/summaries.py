"""The summaries of a tree: of its test files, its conftests and its plugins."""

from __future__ import annotations

from dataclasses import dataclass, field

from test_framework.analysis.index import Index
from test_framework.analysis.summaries.summarize import Summarizer
from test_framework.analysis.summaries.summary import Summary


@dataclass(frozen=True, slots=True)
class Summaries:
    """What the rules need to know of a tree. Paths are relative to its root."""

    files: dict[str, Summary] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    """Files that could not be read, and why."""
    noqa: dict[str, tuple[tuple[int, tuple[str, ...]], ...]] = field(default_factory=dict)
    """Lines with a comment `# noqa`, and the codes that each names."""

    @classmethod
    def of(cls, index: Index) -> Summaries:
        """Summarize every file of an index."""
        summarizer = Summarizer(index)
        found = cls()
        for project in index.projects:
            found.files[f"{project.directory}:"] = summarizer.of_plugins(project)
            found.files.update((path, summarizer.of_conftest(project, path)) for path in project.conftests)
            found.files.update((path, summarizer.of_tests(path)) for path in project.test_files)
        for path, module in index.modules.items():
            if module.unread:
                found.unread[path] = module.unread
            if module.noqa and not path.startswith("/"):
                found.noqa[path] = module.noqa
        return found
