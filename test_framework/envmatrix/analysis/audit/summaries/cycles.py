"""Cycles in the graph of fixtures that ask for fixtures."""

from __future__ import annotations

from envmatrix.analysis.audit.summaries.summary import FixtureKey


def in_cycles(edges: dict[FixtureKey, set[FixtureKey]]) -> set[FixtureKey]:
    """Return the nodes that are in a cycle or lead to one."""
    left = {node: set(targets) for node, targets in edges.items()}
    while dead := [node for node, targets in left.items() if not targets & left.keys()]:
        for node in dead:
            del left[node]
    return set(left)


def find_cycle(edges: dict[FixtureKey, set[FixtureKey]]) -> tuple[FixtureKey, ...]:
    """Return the nodes of one cycle, in order; empty if there is none."""
    for start, targets in edges.items():
        path, waiting = [start], [iter(sorted(targets))]
        seen = {start}
        while waiting:
            node = next(waiting[-1], None)
            if node is None:
                waiting.pop()
                path.pop()
            elif node == start:
                return tuple(path)
            elif node in edges and node not in seen:
                seen.add(node)
                path.append(node)
                waiting.append(iter(sorted(edges[node])))
    return ()
