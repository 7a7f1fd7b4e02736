"""Circles in who asks for whom."""

from __future__ import annotations

from envmatrix.analysis.audit.summaries.summary import Place


def in_circles(edges: dict[Place, set[Place]]) -> set[Place]:
    """Return what is left when everything that leads nowhere has been taken away, again and again."""
    left = {node: set(targets) for node, targets in edges.items()}
    while dead := [node for node, targets in left.items() if not targets & left.keys()]:
        for node in dead:
            del left[node]
    return set(left)


def a_circle(edges: dict[Place, set[Place]]) -> tuple[Place, ...]:
    """Return the nodes of one circle, in order; nothing where there is none."""
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
