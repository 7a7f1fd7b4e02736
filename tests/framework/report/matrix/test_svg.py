"""The picture of a matrix, as an XML parser reads it."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from envmatrix.matrix.table import Matrix
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.report.matrix.svg import _DARK, _LIGHT, render
from envmatrix.runs.outcomes import Outcome
from tests.framework.report.samples import SHAPES, everything, fifteen, hostile, judged, passed

NAMESPACE = "{http://www.w3.org/2000/svg}"


def drawn(matrix: JudgedMatrix) -> ET.Element:
    """The image."""
    return ET.fromstring(render(matrix))


def texts(root: ET.Element) -> list[str]:
    """What is written in the image."""
    return [each.text for each in root.iter(f"{NAMESPACE}text") if each.text]


def heads(root: ET.Element) -> list[ET.Element]:
    """The heads of the columns."""
    return root.findall(f"{NAMESPACE}g[@class='head']")


@pytest.mark.fault("hostile-test-name")
@pytest.mark.fault("unsafe-xml")
@pytest.mark.parametrize("shape", SHAPES)
def test_names_are_text(tmp_path: Path, shape: str) -> None:
    """Nothing in it runs, loads or points anywhere, whatever the tests are called."""
    text = render(SHAPES[shape](tmp_path))
    assert text.strip().isprintable()
    root = ET.fromstring(text)
    tags = {each.tag.removeprefix(NAMESPACE) for each in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "g", "rect", "path", "text"}
    assert not [name for each in root.iter() for name in each.attrib if "href" in name or name.startswith("on")]
    style = root.findtext(f"{NAMESPACE}style")
    assert style == ET.fromstring(render(passed(tmp_path / "plain"))).findtext(f"{NAMESPACE}style")
    assert "url(" not in style
    assert "@import" not in style


def test_it_says_what_the_matrix_says(tmp_path: Path) -> None:
    """Environments, stand-ins, files, numbers and verdicts."""
    written = texts(drawn(everything(tmp_path)))
    for text in ("auth", "staging (twin)", "stub: llm", "tests/test_a.py", "no run", "incompatible", "unknown", "12"):
        assert text in written


def test_a_screen_reader_is_told_the_verdicts(tmp_path: Path) -> None:
    """By the image's name and description."""
    root = drawn(everything(tmp_path))
    assert root.get("role") == "img"
    assert root.findtext(f"{NAMESPACE}title") == "Compatibility matrix"
    assert root.findtext(f"{NAMESPACE}desc") == (
        "Verdicts: auth compatible, backend incompatible, local incompatible, staging (twin) unknown."
    )


def test_outcomes_differ_in_shape(tmp_path: Path) -> None:
    """Who sees no colours reads it as well."""
    shapes: dict[str, set[str]] = {}
    for each in drawn(everything(tmp_path)).iter(f"{NAMESPACE}path"):
        shapes.setdefault(each.get("class", ""), set()).add(each.get("d", ""))
    drawn_outcomes = [shapes[outcome] for outcome in Outcome if outcome in shapes]
    assert len(drawn_outcomes) >= 5
    assert len(set.union(*drawn_outcomes)) == len(drawn_outcomes)


@pytest.mark.parametrize("colours", [_LIGHT, _DARK])
def test_every_colour_can_be_read(colours: dict[str, str]) -> None:
    """A contrast of 4.5 to 1 against the background, as WCAG AA asks."""
    back = luminance(colours["back"])
    for name in ("text", "dim", *Outcome):
        light, dark = sorted((luminance(colours[name]), back), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, name


def luminance(colour: str) -> float:
    """The relative luminance of a colour, as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_it_is_light_or_dark_as_the_reader_has_it(tmp_path: Path) -> None:
    """Without a script."""
    style = drawn(passed(tmp_path)).findtext(f"{NAMESPACE}style", "")
    light, _, dark = style.partition("@media(prefers-color-scheme:dark)")
    assert (_LIGHT["back"] in light, _DARK["back"] in dark) == (True, True)
    assert _DARK["back"] not in light


def test_columns_do_not_overlap(tmp_path: Path) -> None:
    """Fifteen environments, each in a column of its own, all within the image."""
    root = drawn(fifteen(tmp_path))
    places = [float(re.findall(r"[\d.]+", each.get("transform", ""))[0]) for each in heads(root)]
    assert len(places) == len(set(places)) == 15
    assert max(places) + 54 <= float(root.get("width", ""))


def test_many_environments_fit_a_screen(tmp_path: Path) -> None:
    """Their heads are slanted, and a cell tells its worst outcome; few stand side by side in full."""
    many, few = drawn(fifteen(tmp_path)), drawn(everything(tmp_path / "few"))
    assert float(many.get("width", "")) <= 1280
    assert {"rotate" in each.get("transform", "") for each in heads(many)} == {True}
    assert {"rotate" in each.get("transform", "") for each in heads(few)} == {False}


@pytest.mark.fault("hostile-test-name")
def test_a_long_name_stays_in_its_column(tmp_path: Path) -> None:
    """Cut after it is escaped, since that makes it longer."""
    root = drawn(hostile(tmp_path))
    labels = [each.findtext(f"{NAMESPACE}text", "") for each in heads(root)]
    assert len(labels) == 17
    assert max(map(len, labels)) <= 18
    names = [each.text or "" for each in root.findall(f"{NAMESPACE}g/{NAMESPACE}text") if each.get("font-family")]
    assert max(map(len, names)) <= 50


def test_its_size_is_bounded(tmp_path: Path) -> None:
    """Many files are drawn as one row, many environments are counted; the totals are those of all."""
    text = render(passed(tmp_path, environments=35, files=100))
    assert len(text) < 1_000_000
    written = texts(ET.fromstring(text))
    assert "Compatibility matrix, and 5 environments more" in written
    assert "and 61 more files" in written
    assert written.count("100") == 30


def test_files_with_problems_are_drawn_first(tmp_path: Path) -> None:
    """Of hundreds of green files and one red, the red one is named."""
    many, wrong = passed(tmp_path / "many", files=100).matrix, everything(tmp_path / "wrong").matrix
    written = texts(drawn(judged(Matrix.from_runs([*many.runs, *wrong.runs]))))
    assert "tests/test_a.py" in written
    assert "tests/test_legacy.py" in written
    assert not re.search(r"test_09\d", " ".join(written))
