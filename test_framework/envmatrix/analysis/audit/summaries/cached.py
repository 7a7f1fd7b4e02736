"""Summaries of an earlier run that are still valid.

The inputs of a summary are the bytes of its file, of the conftests around it, of the plugins, and of every file to which a
name in one of these leads, in turn; and which module is found where. It is valid while these are unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TypeAlias

import msgspec

from envmatrix.analysis.audit.summaries.summary import EMPTY, FileSummary, decode, encode
from envmatrix.analysis.index.fixture_index import Index, IndexInputs
from envmatrix.analysis.source.cache import Cache, Stamp, View
from envmatrix.analysis.source.facts import Fact, Unread
from envmatrix.analysis.source.parse_file import digest_of, digest_of_file

NoqaLines: TypeAlias = tuple[tuple[int, tuple[str, ...]], ...]


class SummaryInputs(Fact, frozen=True):
    """The inputs of a file's summary, and the file's comments `# noqa`."""

    digest: bytes = b""
    """Digest of its bytes."""
    stamp: Stamp | None = None
    """Stamp of the file while it had these bytes; None if it may have changed meanwhile."""
    around: tuple[str, ...] = ()
    """The conftests that it sees."""
    found: tuple[tuple[str, str | None], ...] = ()
    """Modules that names in the file lead to, and their files."""
    unread: Unread | None = None
    noqa: NoqaLines = ()

    def leads_to(self) -> frozenset[str]:
        """Return the files that it depends on directly."""
        return frozenset((*self.around, *(file for _, file in self.found if file)))


class _TreeInputs(Fact, frozen=True):
    """The inputs that all summaries of a tree share."""

    plugins: bytes
    """Digest of their names and files."""
    listings: dict[str, bytes]
    """Directory → digest of its listing."""


_decode_basis = msgspec.msgpack.Decoder(SummaryInputs).decode
_decode_whole = msgspec.msgpack.Decoder(_TreeInputs).decode


class CachedSummaries:
    """The cached summaries of a tree.

    Args:
        cache: Keeps them from one run to the next.
        index: The index of the tree as it is now.
        ground: The inputs of the index.
    """

    def __init__(self, cache: Cache, index: Index, ground: IndexInputs) -> None:
        self._cache = cache
        self._index = index
        self._ground = ground
        self._around = {
            path: index.conftests_around(project, path.rpartition("/")[0])
            for project in index.projects
            for path in (*project.conftests, *project.test_files)
        } | {f"{project.directory}:": () for project in index.projects}
        self._plugins = [index.plugins.of(project) for project in index.projects]
        self._view = cache.view(ground.view)
        self._bases = self._valid_inputs() if self._view.inputs else {}
        self.summaries: dict[str, FileSummary] = {
            path: decode(self._view.parts[path][1]) for path in self._bases if path in self._around
        }
        """Path → summary that is still valid."""

    def _valid_inputs(self) -> dict[str, SummaryInputs]:
        whole = _decode_whole(self._view.inputs)
        bases = {path: _decode_basis(basis) for path, (basis, _) in self._view.parts.items()}
        changed = {path for path, basis in bases.items() if self._is_changed(path, basis)}
        if any(digest != self._digest_of(directory) for directory, digest in whole.listings.items()):
            changed |= {path for path, basis in bases.items() if self._finds_other_files(path, basis)}
        leads_to = {path: basis.leads_to() for path, basis in bases.items()}
        while more := {path for path, to in leads_to.items() if path not in changed and not changed.isdisjoint(to)}:
            changed |= more
        plugins = {path for found, _ in self._plugins for _, path in found}
        if whole.plugins != digest_of(repr(self._plugins).encode()) or not changed.isdisjoint(plugins):
            return {}
        return {path: basis for path, basis in bases.items() if path not in changed}

    def _is_changed(self, path: str, basis: SummaryInputs) -> bool:
        if path in self._around and self._around[path] != basis.around:
            return True
        if path.endswith(":"):  # what stands for the plugins of a project
            return False
        if path in self._index.modules:
            return self._index.modules.head(path).digest != basis.digest or not basis.digest
        file = self._index.root / path
        return Stamp.of_file(file) != basis.stamp and digest_of_file(str(file)) != basis.digest

    def _finds_other_files(self, path: str, basis: SummaryInputs) -> bool:
        return any(self._index.find(path, module) != file for module, file in basis.found)

    def _digest_of(self, directory: str) -> bytes:
        return digest_of(repr(self._ground.listings.of(directory)).encode(errors="surrogateescape"))

    def complete(self, summaries: Mapping[str, FileSummary]) -> dict[str, SummaryInputs]:
        """Cache the summaries of all files; return the inputs of each file, also of those that names lead to."""
        bases = dict(self._bases)
        for path, digest in self._index.modules.digests():
            if path not in bases or self._ground.searches.get(path):
                bases[path] = self._basis(path, digest)
        bases |= {path: SummaryInputs() for path in self._around if path.endswith(":")}
        plugins = (path for found, _ in self._plugins for _, path in found)
        reached = _reached(bases, [*self._around, *plugins])
        with suppress(UnicodeEncodeError):  # of a name that no encoding has: then nothing is kept
            self._keep({path: bases[path] for path in reached}, summaries)
        return {path: bases[path] for path in reached}

    def _keep(self, bases: Mapping[str, SummaryInputs], summaries: Mapping[str, FileSummary]) -> None:
        earlier = self._view.parts
        parts = {
            path: earlier[path]
            if basis is self._bases.get(path) and summaries.get(path) is self.summaries.get(path)
            else (msgspec.msgpack.encode(basis), self._encoded(path, summaries.get(path, EMPTY)))
            for path, basis in bases.items()
        }
        listings = {directory: self._digest_of(directory) for directory in sorted(self._ground.listings.known())}
        ground = msgspec.msgpack.encode(_TreeInputs(digest_of(repr(self._plugins).encode()), listings))
        changed = [path for path, part in parts.items() if earlier.get(path) != part]
        gone = earlier.keys() - parts.keys()
        if changed or gone or ground != self._view.inputs:
            self._cache.keep(View(self._view.key, self._view.state, ground, parts), changed, gone)

    def _encoded(self, path: str, summary: FileSummary) -> bytes:
        if summary is self.summaries.get(path):
            return self._view.parts[path][1]
        return encode(summary) if path in self._around else b""

    def _basis(self, path: str, digest: bytes) -> SummaryInputs:
        head = self._index.modules.head(path) if path in self._index.modules else None
        earlier = self._bases.get(path)
        found = {**dict(earlier.found if earlier else ()), **self._ground.searches.get(path, {})}
        stamp = Stamp.of_file(self._index.root / path) if path not in self._around else None
        return SummaryInputs(
            digest,
            stamp if stamp is not None and stamp.is_settled(self._ground.began_ns) else None,
            self._around.get(path, ()),
            tuple(found.items()),
            head.unread if head else None,
            head.noqa if head else (),
        )


def _reached(bases: Mapping[str, SummaryInputs], roots: list[str]) -> set[str]:
    reached: set[str] = set()
    waiting = roots
    while waiting:
        path = waiting.pop()
        if path in bases and path not in reached:
            reached.add(path)
            waiting += bases[path].leads_to()
    return reached
