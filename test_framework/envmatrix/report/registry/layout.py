"""Where the boxes of a graph stand: in columns by depth, one below the other, what belongs together on one height."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)

_SWEEPS = 12
_BROAD = 900.0
"""Pixels: what a page shows without shrinking it."""
_BEND = 12.0
"""Pixels of height that a line takes which passes by a column."""


@dataclass(frozen=True, slots=True)
class Box:
    """A place in the picture, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Return the height of its middle."""
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        """Return its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Return its lower edge."""
        return self.y + self.height

    def moved(self, x: float, y: float) -> Box:
        """Return it so much further right and down."""
        return Box(self.x + x, self.y + y, self.width, self.height)


@dataclass(frozen=True, slots=True)
class Layout(Generic[Node]):
    """Every box, and the boxes that each line leads through, ends included."""

    boxes: Mapping[Node, Box]
    lines: Sequence[Sequence[Box]]
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Spaces:
    """Pixels between boxes."""

    across: float = 56.0
    down: float = 14.0


def lay_out(
    sizes: Mapping[Node, tuple[float, float]],
    edges: Iterable[tuple[Node, Node]],
    spaces: Spaces = Spaces(),
) -> Layout[Node]:
    """Place boxes of these sizes, each to the right of those that it has an edge from.

    Parts that no edge joins stand side by side as far as there is room; boxes without any edge in rows below them all.
    """
    forward = _without_circles(sizes, edges)
    parts = _parts(sizes, forward)
    joined = [
        _place(part, sizes, [edge for edge in forward if edge[0] in part], spaces) for part in parts if len(part) > 1
    ]
    joined.sort(key=lambda layout: -layout.height)
    broad = max([_BROAD, *(layout.width for layout in joined)])
    boxes: dict[Node, Box] = {}
    lines: list[Sequence[Box]] = []
    bottom = 0.0
    shelves: list[
        tuple[float, float]
    ] = []  # height and used width of each; the first that stands on one is its tallest
    for layout in joined:
        number = next((n for n, (_, used) in enumerate(shelves) if used + layout.width <= broad), len(shelves))
        if number == len(shelves):
            shelves.append((bottom, 0.0))
            bottom += layout.height + 2 * spaces.down
        top, x = shelves[number]
        boxes |= {node: box.moved(x, top) for node, box in layout.boxes.items()}
        lines += [[box.moved(x, top) for box in line] for line in layout.lines]
        shelves[number] = top, x + layout.width + spaces.across
    alone = [node for part in parts if len(part) == 1 for node in part]
    boxes |= _rows(alone, sizes, spaces, bottom, broad)
    every = [*boxes.values(), *(box for line in lines for box in line)]
    return Layout(boxes, lines, max([0.0, *(box.right for box in every)]), max([0.0, *(box.bottom for box in every)]))


def _without_circles(nodes: Iterable[Node], edges: Iterable[tuple[Node, Node]]) -> list[tuple[Node, Node]]:
    """Return the edges, without those that would close a circle."""
    into: dict[Node, list[Node]] = {node: [] for node in nodes}
    for start, end in dict.fromkeys(edges):
        if start in into and end in into and start != end:
            into[end].append(start)
    kept: list[tuple[Node, Node]] = []
    state: dict[Node, bool] = {}

    def visit(node: Node) -> None:
        state[node] = False
        for before in into[node]:
            if before not in state:
                visit(before)
            if state[before]:
                kept.append((before, node))
        state[node] = True

    for node in into:
        if node not in state:
            visit(node)
    return kept


def _parts(nodes: Iterable[Node], edges: Iterable[tuple[Node, Node]]) -> list[list[Node]]:
    """Return the nodes that edges join, the largest part first."""
    near: dict[Node, list[Node]] = {node: [] for node in nodes}
    for start, end in edges:
        near[start].append(end)
        near[end].append(start)
    seen: set[Node] = set()
    parts: list[list[Node]] = []
    for node in near:
        waiting, part = [node], []
        while waiting:
            if (each := waiting.pop()) not in seen:
                seen.add(each)
                part.append(each)
                waiting.extend(near[each])
        if part:
            parts.append(part)
    return sorted(parts, key=len, reverse=True)


@dataclass(frozen=True, slots=True)
class _Bend(Generic[Node]):
    """Where a line passes by a column."""

    start: Node
    end: Node
    column: int


def _place(
    part: Sequence[Node],
    sizes: Mapping[Node, tuple[float, float]],
    edges: Sequence[tuple[Node, Node]],
    spaces: Spaces,
) -> Layout[Node]:
    """Place a part that edges join."""
    depth = _depths(part, edges)
    columns: list[list[Node | _Bend[Node]]] = [[] for _ in range(max(depth.values()) + 1)]
    for node in part:
        columns[depth[node]].append(node)
    chains: list[list[Node | _Bend[Node]]] = []
    for start, end in edges:
        bends = [_Bend(start, end, column) for column in range(depth[start] + 1, depth[end])]
        for bend in bends:
            columns[bend.column].append(bend)
        chains.append([start, *bends, end])
    near: dict[Node | _Bend[Node], list[Node | _Bend[Node]]] = defaultdict(list)
    for chain in chains:
        for one, other in pairwise(chain):
            near[one].append(other)
            near[other].append(one)
    heights = {each: _BEND if isinstance(each, _Bend) else sizes[each][1] for column in columns for each in column}
    _order(columns, near)
    middles = _middles(columns, near, heights, spaces.down)
    lowest = min(middles[each] - heights[each] / 2 for column in columns for each in column)
    boxes: dict[Node | _Bend[Node], Box] = {}
    x = 0.0
    for column in columns:
        width = max([sizes[each][0] for each in column if not isinstance(each, _Bend)], default=0.0)
        for each in column:
            own = width if isinstance(each, _Bend) else sizes[each][0]
            boxes[each] = Box(x, middles[each] - heights[each] / 2 - lowest, own, heights[each])
        x += width + spaces.across
    placed = {each: box for each, box in boxes.items() if not isinstance(each, _Bend)}
    lines = [[boxes[each] for each in chain] for chain in chains]
    return Layout(placed, lines, max(box.right for box in boxes.values()), max(box.bottom for box in boxes.values()))


def _depths(part: Iterable[Node], edges: Iterable[tuple[Node, Node]]) -> dict[Node, int]:
    before: dict[Node, list[Node]] = {node: [] for node in part}
    for start, end in edges:
        before[end].append(start)
    depth: dict[Node, int] = {}

    def of(node: Node) -> int:
        if node not in depth:
            depth[node] = max((of(each) + 1 for each in before[node]), default=0)
        return depth[node]

    for node in before:
        of(node)
    return depth


def _order(columns: Sequence[list[Node]], near: Mapping[Node, Sequence[Node]]) -> None:
    """Sort each column by where its neighbours stand, to and fro, so that fewer lines cross."""
    rank = {each: float(number) for column in columns for number, each in enumerate(column)}
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            means = {each: _mean([rank[other] for other in near[each]], rank[each]) for each in column}
            column.sort(key=means.__getitem__)
            rank.update((each, float(number)) for number, each in enumerate(column))


def _middles(
    columns: Sequence[Sequence[Node]],
    near: Mapping[Node, Sequence[Node]],
    heights: Mapping[Node, float],
    gap: float,
) -> dict[Node, float]:
    """Return the height of each middle: that of its neighbours as far as there is room."""
    middles: dict[Node, float] = {}
    for column in columns:
        _settle(column, dict.fromkeys(column, 0.0), middles, heights, gap)
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = {each: _mean([middles[other] for other in near[each]], middles[each]) for each in column}
            _settle(column, wanted, middles, heights, gap)
    return middles


def _settle(
    column: Sequence[Node],
    wanted: Mapping[Node, float],
    middles: dict[Node, float],
    heights: Mapping[Node, float],
    gap: float,
) -> None:
    """Put a column where it wants to be, in its order and without overlap: those that collide share the way."""
    groups: list[tuple[float, int, float]] = []
    offsets = []
    offset = 0.0
    for number, each in enumerate(column):
        if number:
            offset += (heights[column[number - 1]] + heights[each]) / 2 + gap
        offsets.append(offset)
        total, count = wanted[each] - offset, 1
        while groups and groups[-1][2] >= total / count:
            before, size, _ = groups.pop()
            total, count = total + before, count + size
        groups.append((total, count, total / count))
    starts = [mean for _, count, mean in groups for _ in range(count)]
    middles.update((each, start + offset) for each, start, offset in zip(column, starts, offsets, strict=True))


def _rows(
    nodes: Sequence[Node], sizes: Mapping[Node, tuple[float, float]], spaces: Spaces, top: float, width: float
) -> dict[Node, Box]:
    """Place boxes in rows of equal columns."""
    if not nodes:
        return {}
    widest = max(sizes[node][0] for node in nodes)
    tallest = max(sizes[node][1] for node in nodes)
    columns = max(1, int((width + spaces.down) // (widest + spaces.down)))
    return {
        node: Box(
            number % columns * (widest + spaces.down),
            top + number // columns * (tallest + spaces.down),
            *sizes[node],
        )
        for number, node in enumerate(nodes)
    }


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
