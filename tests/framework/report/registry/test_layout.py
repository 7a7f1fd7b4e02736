"""Where the boxes of a graph stand."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from envmatrix.report.registry.layout import Box, Layout, lay_out

SIZES = st.dictionaries(st.integers(0, 25), st.tuples(st.floats(20, 300), st.floats(20, 60)), min_size=1, max_size=26)
EDGES = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), max_size=60)


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share more than an edge."""
    across = min(one.right, other.right) - max(one.x, other.x)
    down = min(one.bottom, other.bottom) - max(one.y, other.y)
    return across > 0.01 and down > 0.01


@settings(max_examples=60, deadline=None)
@given(SIZES, EDGES)
def test_no_two_boxes_overlap(sizes: dict[int, tuple[float, float]], edges: list[tuple[int, int]]) -> None:
    """Whatever the graph, circles included; and all stand in the picture."""
    layout: Layout[int] = lay_out(sizes, edges)
    assert layout.boxes.keys() == sizes.keys()
    assert not [pair for pair in combinations(layout.boxes.values(), 2) if overlap(*pair)]
    for box in layout.boxes.values():
        assert box.x >= -0.01
        assert box.y >= -0.01
        assert box.right <= layout.width + 0.01
        assert box.bottom <= layout.height + 0.01


@settings(max_examples=60, deadline=None)
@given(SIZES, EDGES)
def test_lines_lead_to_the_right_and_through_no_box(
    sizes: dict[int, tuple[float, float]], edges: list[tuple[int, int]]
) -> None:
    """Where a line passes by a column it has a place of its own."""
    layout: Layout[int] = lay_out(sizes, edges)
    for first, *between, last in layout.lines:
        assert first.right < last.x
        assert not [box for box in layout.boxes.values() for bend in between if overlap(box, bend)]


def test_columns_are_depths() -> None:
    """What is made of nothing stands left, and each right of all that it is made of."""
    layout = lay_out(dict.fromkeys("abcd", (100.0, 30.0)), [("a", "b"), ("b", "c"), ("a", "c")])
    x = {name: box.x for name, box in layout.boxes.items()}
    assert x["a"] < x["b"] < x["c"]
    assert layout.boxes["d"].y > max(layout.boxes[name].y for name in "abc")


def test_the_same_graph_is_the_same_picture() -> None:
    """A page that is kept in a repository must not change by itself."""
    sizes = {name: (50.0 + len(name), 20.0) for name in ("a", "bb", "ccc", "dddd")}
    edges = [("a", "bb"), ("a", "ccc"), ("bb", "dddd"), ("ccc", "dddd")]
    assert lay_out(sizes, edges) == lay_out(dict(sizes), list(edges))


def test_nothing_is_an_empty_picture() -> None:
    """A tree without fixtures."""
    layout: Layout[str] = lay_out({}, [])
    assert (layout.width, layout.height, layout.boxes) == (0.0, 0.0, {})
