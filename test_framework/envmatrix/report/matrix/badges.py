"""A badge for each environment: an SVG image, and the document that shields.io draws one from.

https://shields.io/badges/endpoint-badge
"""

from __future__ import annotations

import json
from xml.etree.ElementTree import SubElement

from envmatrix.gate import Answer, Verdict
from envmatrix.matrix.table import Column
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.report.svg import as_text, image, label
from envmatrix.report.text import inert, middle
from envmatrix.runs.cells import MissingRun

_COLOURS = {Answer.COMPATIBLE: "#1a7f37", Answer.INCOMPATIBLE: "#cf222e", Answer.UNKNOWN: "#59636e"}
"""White text on each has a contrast of at least 4.5:1."""
_HEIGHT, _PADDING, _CHARACTER = 20, 8, 6.6
"""Pixels. Every character has the same width, whatever font the reader has."""
_LONGEST = 40
"""Characters of a label."""


def render(judged: JudgedMatrix) -> dict[str, str]:
    """Return the files by name: `staging.svg` and `staging.json`."""
    files = {}
    for column, verdict in zip(judged.matrix.columns, judged.verdicts, strict=True):
        name, message = middle(inert(column.label), _LONGEST), _message(column, verdict)
        files[f"{column.environment}.svg"] = _svg(name, message, _COLOURS[verdict.answer])
        endpoint = {"schemaVersion": 1, "label": name, "message": message, "color": _COLOURS[verdict.answer]}
        files[f"{column.environment}.json"] = json.dumps(endpoint) + "\n"
    return files


def _message(column: Column, verdict: Verdict) -> str:
    if isinstance(column.run, MissingRun):
        return f"{verdict.answer}: no run"
    return f"{verdict.answer} {len(column.run.passed)}/{len(column.cells)}"


def _svg(name: str, message: str, colour: str) -> str:
    left, right = (2 * _PADDING + round(_CHARACTER * len(text)) for text in (name, message))
    root = image(left + right, _HEIGHT, f"{name}: {message}")
    root.set("fill", "#fff")
    SubElement(root, "rect", width=str(left + 4), height=str(_HEIGHT), rx="3", fill="#24292f")
    SubElement(root, "rect", x=str(left), width=str(right), height=str(_HEIGHT), rx="3", fill=colour)
    SubElement(root, "rect", x=str(left), width="4", height=str(_HEIGHT), fill=colour)
    for x, text in ((_PADDING, name), (left + _PADDING, message)):
        label(root, x, 14, text, textLength=f"{_CHARACTER * len(text):g}")
    return as_text(root)
