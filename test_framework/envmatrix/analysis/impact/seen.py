"""Follow a change by reading as far as a function that tests were seen to run, and from there by who ran it.

A function that may behave differently concerns whoever runs it, as one whose body differs does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from envmatrix.analysis.impact.changes import FileChange
from envmatrix.analysis.impact.evidence import Evidence, FunctionName
from envmatrix.analysis.impact.project_source import ProjectSource
from envmatrix.analysis.impact.reachability import Node, Reachability
from envmatrix.analysis.impact.selection import Because
from envmatrix.analysis.source.parts.file_parts import SCRIPT, TOP


class SeenTests:
    """The tests of one environment that a changed function concerns, among those that were seen."""

    def __init__(self, evidence: Evidence, flow: Reachability, tree: ProjectSource) -> None:
        self._evidence = evidence
        self._flow = flow
        self._tree = tree
        self._ran = f"which it ran at commit {evidence.commit[:12]}"

    def of(self, change: FileChange, name: str, why: Because) -> Mapping[str, Because] | None:
        """Return the tests that a function concerns whose body alone differs, each with the reason; None if more differs."""
        differing = self._evidence.differing(change, name)
        if differing is None:
            return None
        found = dict.fromkeys(self._evidence.tests(differing), (*why, self._ran))
        if not self._evidence.shared.isdisjoint(differing):
            self._follow([(Node(change.path, name), why)], found)
        self._follow(self._importing(differing, why), found)
        return found

    def _importing(self, functions: frozenset[FunctionName], why: Because) -> Iterator[tuple[Node, Because]]:
        """Yield the files whose import ran one of these functions."""
        for path, ran in self._evidence.imports.items():
            if not functions.isdisjoint(ran):
                yield Node(path, TOP), (*why, f"and ran on import of {path}")

    def _follow(self, seeds: Iterable[tuple[Node, Because]], found: dict[str, Because]) -> None:
        """Add the tests that some parts of files concern."""
        waiting, done = list(seeds), set[Node]()
        starts = {node for node, _ in waiting}
        for seed, why in waiting:  # grows while it is gone through
            if seed in done:
                continue
            for node, way in self._flow.reach([seed], lambda node: node not in starts and self._is_known(node)):
                if node in done:
                    continue
                done.add(node)
                reason = (*why, *map(str, way))
                for test in self._collected(node):
                    found.setdefault(test, reason)
                if self._is_function(node):
                    functions = self._evidence.pieces_of(node.path, node.name)
                    for test in self._evidence.tests(functions):
                        found.setdefault(test, (*reason, self._ran))
                    waiting += self._importing(functions, reason)

    def _is_function(self, node: Node) -> bool:
        part = self._flow.part(node)
        return part is not None and part.kind == "function" and node.name != SCRIPT

    def _is_known(self, node: Node) -> bool:
        """Return whether a part is a function that ran for single tests alone; one that differs, too, is followed by itself."""
        functions = self._evidence.pieces_of(node.path, node.name)
        return self._is_function(node) and self._evidence.shared.isdisjoint(functions)

    def _collected(self, node: Node) -> Iterator[str]:
        """Yield the tests that are made of a file's top level, or of a class, or that see what a conftest holds."""
        if node.name == TOP:
            yield from (test.nodeid for test in self._tree.tests_below(node.path))
        elif (part := self._flow.part(node)) is not None and part.kind == "class":
            for test in self._tree.tests_by_file.get(node.path, ()):
                if ".".join(test.classes).startswith(node.name):
                    yield test.nodeid
