"""What `envmatrix audit` is told: an option, else the project's table, else all rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from envmatrix.analysis.audit.selection import RuleSelection
from envmatrix.commands.audit_settings import AuditSettings

TABLE = """
[tool.envmatrix.audit]
select = ["EM1"]
ignore = ["EM105"]
per_file_ignores = { "old/*" = ["EM101", "EM102"] }
baseline = "known.json"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a table, in which we are."""
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_an_option_the_table_holds(root: Path) -> None:
    """Also where a path below it is named."""
    chosen = RuleSelection(("EM1",), ("EM105",), (("old/*", ("EM101", "EM102")),))
    for paths in ((), (Path("tests"),), (root / "tests",), (root / "pyproject.toml", root / "tests")):
        assert AuditSettings.find(paths) == AuditSettings(root, chosen, root / "known.json")


@pytest.mark.usefixtures("root")
def test_an_option_replaces_the_key_of_its_name() -> None:
    """And leaves the others; several codes are parted by commas, or the option is given again."""
    found = AuditSettings.find((), ["EM101,EM102", "EM107"], None, ["a/*:EM101", "a/*:EM102,EM104", "b:ALL"])
    assert found.selection == RuleSelection(
        ("EM101", "EM102", "EM107"), ("EM105",), (("a/*", ("EM101", "EM102", "EM104")), ("b", ("ALL",)))
    )
    assert AuditSettings.find((), ignore=["EM102"]).selection.ignore == ("EM102",)


def test_a_project_without_a_table_holds_all_rules(root: Path) -> None:
    """Its root is where its `pyproject.toml` is."""
    (root / "tests/pyproject.toml").write_text("[project]\nname = 'other'\n")
    found = AuditSettings.find((Path("tests"),))
    assert found == AuditSettings(root / "tests", RuleSelection(), root / "tests/.envmatrix-audit.json")


def test_a_tree_without_a_project_is_audited_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From where the paths are, if that is elsewhere."""
    inside, outside = tmp_path / "here/tests", tmp_path / "there"
    inside.mkdir(parents=True)
    outside.mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert AuditSettings.find((inside,)).root == tmp_path / "here"
    assert AuditSettings.find((outside,)).root == outside
