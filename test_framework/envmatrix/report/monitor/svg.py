"""What a sampled run used over time, as one SVG image: a panel a metric, a line a service or process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element, SubElement

from envmatrix.report.monitor.usage import Usage
from envmatrix.report.svg import as_text, image, label
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
    title = f"{usage.label}: {usage.samples} samples in {usage.seconds:.1f} s"
    root = image(_WIDTH, _TOP + _PANEL * len(metrics), title)
    root.set("fill", "#222222")
    SubElement(root, "rect", width="100%", height="100%", fill="white")
    label(root, _LEFT, 20, title)
    names = list(dict.fromkeys(each.of for each in usage.series))
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
    seconds = max((at for each in usage.series for at, _ in each.points), default=0.0) or 1.0
    for number, metric in enumerate(metrics):
        panel = SubElement(root, "g", transform=f"translate(0 {_TOP + number * _PANEL})")
        _panel(panel, metric, [each for each in usage.series if each.metric is metric], seconds, colours)
    return as_text(root)


def _panel(panel: Element, metric: Metric, series: Sequence[Series], seconds: float, colours: dict[str, str]) -> None:
    highest = max(each.highest for each in series) or 1.0
    plot = SubElement(panel, "g", fill="none", stroke="#bbbbbb")
    SubElement(plot, "path", d=f"M{_LEFT} 0V{_PLOT}H{_WIDTH - _LEGEND}")
    label(panel, _LEFT + 4, 12, metric, font_weight="bold")
    label(panel, _LEFT - 6, 10, shown(metric, highest), text_anchor="end")
    label(panel, _LEFT - 6, _PLOT, "0", text_anchor="end")
    label(panel, _WIDTH - _LEGEND, _PLOT + 14, f"{seconds:.1f} s", text_anchor="end")
    for number, each in enumerate(series):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in _scaled(each, seconds, highest))
        line = SubElement(panel, "polyline", points=points, fill="none", stroke=colours[each.of])
        line.set("stroke-width", "1.5")
        label(panel, _WIDTH - _LEGEND + 10, 10 + 13 * number, each.of, fill=colours[each.of])


def _scaled(series: Series, seconds: float, highest: float) -> Iterator[tuple[float, float]]:
    width = _WIDTH - _LEGEND - _LEFT
    return ((_LEFT + width * at / seconds, _PLOT * (1 - value / highest)) for at, value in series.points)
