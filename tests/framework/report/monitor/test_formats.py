"""What a sampled run used, in every format."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from envmatrix.report.monitor import FORMATS, Usage, reporter
from envmatrix.report.monitor.svg import draw
from envmatrix.runs.events import FindingRecord
from envmatrix.runs.samples import Metric, Series

HOSTILE = "\x1b[31m::error::<script>`|\u202e\ud800\n"
USAGE = Usage(
    label=HOSTILE,
    samples=1,
    seconds=1.0,
    series=[Series(HOSTILE, metric, [(1.0, 0.0)]) for metric in Metric],
    requests={HOSTILE: [1.0]},
    measured={HOSTILE: {HOSTILE: 1.0}},
    findings=[FindingRecord("L406", HOSTILE, tests=(HOSTILE,))],
)


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("name", FORMATS)
def test_names_are_only_read(name: str) -> None:
    """They move no cursor, and command no CI log."""
    text = reporter(name)(USAGE)
    for word in ("\x1b", "\u202e", "\ud800"):
        assert word not in text
    assert not any(line.strip().startswith("::error::") for line in text.splitlines())


@pytest.mark.fault("hostile-test-name")
def test_names_in_an_image_are_text() -> None:
    """It has no element that a name made, and can be parsed."""
    root = ET.fromstring(draw(USAGE))
    assert {each.tag.rpartition("}")[2] for each in root.iter()} == {
        *("svg", "title", "g", "rect", "path", "polyline", "text")
    }


def test_an_empty_run_can_be_drawn() -> None:
    """No panel, and no division by nothing."""
    assert ET.fromstring(draw(Usage("local", 0, 0.0, [], {}, {}, []))) is not None
