"""What a sampled run used over time, as one SVG image: a panel a metric, a line a service or process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from envmatrix.report.monitor.usage import Usage
from envmatrix.report.text import inert
from envmatrix.runs.samples import Metric, Series, shown

_WIDTH, _LEFT, _LEGEND = 960, 80, 220
"""Pixels: the whole, what the numbers at the axis take, what the names take."""
_PANEL, _PLOT = 150, 110
"""Pixels from the top of one panel to the next, and the height of its plot."""
_TOP = 40
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#444444", "#999933")
"""Okabe and Ito's, which people who see colours differently can tell apart, without the yellow, which white swallows."""


def draw(usage: Usage) -> str:
    """Return the image; names in it are text and nothing else."""
    metrics = [metric for metric in Metric if any(each.metric is metric for each in usage.series)]
    height = _TOP + _PANEL * len(metrics)
    root = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {_WIDTH} {height}", width=str(_WIDTH))
    root.set("font-family", "sans-serif")
    root.set("font-size", "11")
    SubElement(root, "rect", width="100%", height="100%", fill="white")
    _text(root, _LEFT, 20, f"{usage.label}: {usage.samples} samples in {usage.seconds:.1f} s")
    names = list(dict.fromkeys(each.of for each in usage.series))
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
    seconds = max((at for each in usage.series for at, _ in each.points), default=0.0) or 1.0
    for number, metric in enumerate(metrics):
        panel = SubElement(root, "g", transform=f"translate(0 {_TOP + number * _PANEL})")
        _panel(panel, metric, [each for each in usage.series if each.metric is metric], seconds, colours)
    return tostring(root, encoding="unicode") + "\n"


def _panel(panel: Element, metric: Metric, series: Sequence[Series], seconds: float, colours: dict[str, str]) -> None:
    highest = max(each.highest for each in series) or 1.0
    plot = SubElement(panel, "g", fill="none", stroke="#bbbbbb")
    SubElement(plot, "path", d=f"M{_LEFT} 0V{_PLOT}H{_WIDTH - _LEGEND}")
    _text(panel, _LEFT + 4, 12, metric, weight="bold")
    _text(panel, _LEFT - 6, 10, shown(metric, highest), anchor="end")
    _text(panel, _LEFT - 6, _PLOT, "0", anchor="end")
    _text(panel, _WIDTH - _LEGEND, _PLOT + 14, f"{seconds:.1f} s", anchor="end")
    for number, each in enumerate(series):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in _scaled(each, seconds, highest))
        line = SubElement(panel, "polyline", points=points, fill="none", stroke=colours[each.of])
        line.set("stroke-width", "1.5")
        _text(panel, _WIDTH - _LEGEND + 10, 10 + 13 * number, each.of, fill=colours[each.of])


def _scaled(series: Series, seconds: float, highest: float) -> Iterator[tuple[float, float]]:
    width = _WIDTH - _LEGEND - _LEFT
    return ((_LEFT + width * at / seconds, _PLOT * (1 - value / highest)) for at, value in series.points)


def _text(
    parent: Element, x: int, y: int, text: str, *, anchor: str = "start", weight: str = "normal", fill: str = "#222222"
) -> None:
    element = SubElement(parent, "text", x=str(x), y=str(y), fill=fill)
    element.set("text-anchor", anchor)
    element.set("font-weight", weight)
    element.text = inert(text)
