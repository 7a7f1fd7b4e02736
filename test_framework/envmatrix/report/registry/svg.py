"""The registry as a picture: what each fixture is made of, from left to right. Light and dark, without a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from envmatrix.analysis.index.registry import Place, Provider, Registry
from envmatrix.report.registry import words
from envmatrix.report.registry.layout import Box, lay_out
from envmatrix.report.text import inert, middle, short_path

_MARGIN = 24.0
_PADDING = 12.0
_NAME = 7.9
"""Pixels of a character of a fixture's name; of the small print, six."""
_SMALL = 6.1
_LONGEST = 40
"""Characters of a line in a box."""
_LINE = 15.0
_STYLE = """
svg { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: #fff; }
.box { fill: #f6f8fa; stroke: #8c959f; }
.session { fill: #ddf4ff; stroke: #0969da; }
.module, .package, .class { fill: #fff8c5; stroke: #9a6700; }
.autouse { stroke-width: 2.5; }
.line { fill: none; stroke: #8c959f; stroke-width: 1.3; }
.end { fill: #8c959f; }
.name { font-size: 13px; font-weight: 600; fill: #1f2328; }
.small { font-size: 10px; fill: #59636e; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; }
  .box { fill: #151b23; stroke: #656c76; }
  .session { fill: #10233d; stroke: #4493f8; }
  .module, .package, .class { fill: #2b230d; stroke: #d29922; }
  .line { stroke: #656c76; }
  .end { fill: #656c76; }
  .name { fill: #f0f6fc; }
  .small { fill: #9198a1; }
}
"""
_LEGEND = (
    ("box session", "once a session"),
    ("box module", "once a package, module or class"),
    ("box function", "once a test"),
    ("box autouse", "autouse: without being asked for"),
)
_LEGEND_WIDTH = 1000.0
_ARROW = (
    '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="end" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
)


def as_svg(registry: Registry, name: str = "") -> str:
    """Return the picture of the tree's own fixtures, or of one with what it is made of and what is made of it."""
    shown = (registry.around(name) if name else registry).own
    by_place = {provider.place: provider for provider in shown.providers}
    edges = [(need, provider.place) for provider in shown.providers for need in provider.needs_places]
    texts = {place: _texts(provider, by_place) for place, provider in by_place.items()}
    layout = lay_out({place: _size(lines) for place, lines in texts.items()}, edges)
    legend_at = layout.height + _MARGIN
    width, height = max(layout.width, _LEGEND_WIDTH) + 2 * _MARGIN, legend_at + _LINE + 2 * _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img">',
        f"<title>{_text(f'Fixture {name}' if name else 'Fixtures')}: each is made of those to its left</title>",
        f"<style>{_STYLE}</style>",
        _ARROW,
        f'<g transform="translate({_MARGIN:.0f} {_MARGIN:.0f})">',
        *(f'<path class="line" d="{_curve(boxes)}" marker-end="url(#end)"/>' for boxes in layout.lines),
    ]
    for place, provider in by_place.items():
        lines += _drawn(provider, layout.boxes[place], texts[place])
    lines += _legend(legend_at)
    return "\n".join([*lines, "</g>", "</svg>"]) + "\n"


def _texts(provider: Provider, shown: dict[Place, Provider]) -> tuple[str, ...]:
    """Return the lines of a box: its name, where it is, and what it needs that is no box."""
    drawn = {shown[place].name for place in provider.needs_places if place in shown}
    others = ", ".join(need for need in provider.needs if need not in drawn)
    small = (short_path(inert(provider.path), _LONGEST), others and middle(inert(f"with {others}"), _LONGEST))
    return (middle(inert(provider.name), _LONGEST), *filter(None, small))


def _size(lines: Sequence[str]) -> tuple[float, float]:
    name, *small = lines
    width = max(len(name) * _NAME, *(len(line) * _SMALL for line in small), 0.0)
    return width + 2 * _PADDING, _LINE * len(lines) + _PADDING


def _curve(boxes: Sequence[Box]) -> str:
    """Return a line from the right edge of the first box to the left edge of the last, level at each on the way."""
    first, *between, last = boxes
    points = [(first.right, first.middle)]
    for box in between:
        points += [(box.x, box.middle), (box.right, box.middle)]
    points.append((last.x, last.middle))
    drawn = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for number, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        half = (x + to_x) / 2
        is_level = number % 2 == 1
        drawn += f" H{to_x:.1f}" if is_level else f" C{half:.1f} {y:.1f} {half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
    return drawn


def _drawn(provider: Provider, box: Box, lines: Sequence[str]) -> Iterator[str]:
    kinds = " ".join(filter(None, ("box", provider.scope, "autouse" * provider.is_autouse)))
    yield "<g>"
    yield f"<title>{_text('. '.join(filter(None, (words.scope(provider), provider.document))))}</title>"
    yield (
        f'<rect class="{_text(kinds)}" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="6"/>'
    )
    for number, line in enumerate(lines):
        x, y = box.x + _PADDING, box.y + _PADDING / 2 + _LINE * (number + 0.75)
        yield f'<text class="{"small" if number else "name"}" x="{x:.1f}" y="{y:.1f}">{_text(line)}</text>'
    yield "</g>"


def _legend(y: float) -> Iterator[str]:
    for number, (kinds, meaning) in enumerate(_LEGEND):
        x = number * _LEGEND_WIDTH / len(_LEGEND)
        yield f'<rect class="{kinds}" x="{x:.0f}" y="{y:.0f}" width="22" height="12" rx="3"/>'
        yield f'<text class="small" x="{x + 28:.0f}" y="{y + 10:.0f}">{meaning}</text>'


def _text(text: str) -> str:
    return escape(inert(text), {'"': "&quot;"})
