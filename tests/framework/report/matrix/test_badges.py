"""Badges, as an XML parser and shields.io read them."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from envmatrix.report.matrix.badges import render
from tests.framework.report.samples import SHAPES, everything, incomplete

SHIELDS = {"schemaVersion", "label", "message", "color"}
"""The keys of https://shields.io/badges/endpoint-badge that we write; the first three are required."""


@pytest.mark.fault("hostile-test-name")
@pytest.mark.fault("unsafe-xml")
@pytest.mark.parametrize("shape", SHAPES)
def test_names_are_text(tmp_path: Path, shape: str) -> None:
    """An image for each environment, and a document that shields.io takes: no value is empty."""
    judged = SHAPES[shape](tmp_path)
    files = render(judged)
    assert len(files) == 2 * len(judged.matrix.columns)
    for name, text in files.items():
        assert text.strip().isprintable()
        if name.endswith(".svg"):
            tags = {each.tag.rpartition("}")[2] for each in ET.fromstring(text).iter()}
            assert tags == {"svg", "title", "rect", "text"}
        else:
            document = json.loads(text)
            assert document.keys() == SHIELDS
            assert all(document.values())
            assert len(document["label"]) <= 40


def test_a_badge_has_the_verdict_and_the_numbers(tmp_path: Path) -> None:
    """Green only where it is compatible."""
    files = render(everything(tmp_path))
    told = {name: json.loads(text) for name, text in files.items() if name.endswith(".json")}
    assert {name: each["message"] for name, each in told.items()} == {
        "auth.json": "compatible 1/1",
        "backend.json": "incompatible 0/4",
        "local.json": "incompatible 2/17",
        "staging.json": "unknown: no run",
    }
    assert told["staging.json"]["label"] == "staging (twin)"
    assert len({told[name]["color"] for name in ("auth.json", "local.json", "staging.json")}) == 3
    root = ET.fromstring(files["local.svg"])
    assert [each.text for each in root if each.tag.endswith("text")] == ["local", "incompatible 2/17"]


def test_a_run_that_was_killed_is_not_green(tmp_path: Path) -> None:
    """Its tests passed, as far as they were run."""
    assert json.loads(render(incomplete(tmp_path))["local.json"])["message"] == "unknown 1/2"
