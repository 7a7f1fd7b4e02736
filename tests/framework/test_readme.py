"""The README is true: CI runs its commands, its matrix shows the suites, its example works."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from envmatrix.environments import Project, declared_names, load_environment
from tests.framework.docs_pages import ROOT, blocks
from tests.framework.test_docs import envmatrix

README = ROOT / "README.md"
CI = ROOT / ".ci/run"


def commands() -> list[str]:
    """Return the command lines that a newcomer copies."""
    return [line for block in blocks(README) if block.language == "console" for line in block.text.splitlines()]


def test_ci_runs_the_commands_of_the_readme() -> None:
    """The commands of the README are, word for word, those that CI runs; each works without the other."""
    assert [command.split()[-1] for command in commands()] == ["matrix", "tests"]
    lines = CI.read_text(encoding="utf-8").splitlines()
    for command in commands():
        assert command.startswith("python3 -m venv .venv && ")
        assert f"({command})" in lines


def test_the_matrix_shown_is_of_the_environments_that_there_are() -> None:
    """A new environment shows up here, so that the matrix on the page is never an old one."""
    directory = Project.find(ROOT).environments_dir
    shown = next(block.text for block in blocks(README) if block.language == "text")
    labels = {load_environment(name, directory, variables={}).label for name in declared_names(directory)}
    assert {re.split("  +", line)[0] for line in shown.splitlines() if "compatible" in line} == labels


def test_the_picture_is_of_the_environments_and_suites_that_there_are() -> None:
    """`envmatrix report --svg docs/matrix.svg` made it of a run of all of them; run both again where this fails."""
    shown = [each.text or "" for each in ET.parse(ROOT / "docs/matrix.svg").iter()]
    project = Project.find(ROOT)
    for name in declared_names(project.environments_dir):
        assert load_environment(name, project.environments_dir, variables={}).label in shown
    files = {path.name for suite in project.suites for path in (ROOT / suite).glob("test_*.py")}
    assert {text.rpartition("/")[2] for text in shown if text.endswith(".py")} == files
    assert shown.count("compatible") == len(declared_names(project.environments_dir))


def test_the_first_environment_of_ones_own_works(tmp_path: Path) -> None:
    """The declaration and the test on the page, in an empty directory, are compatible."""
    (declaration,) = (block.text for block in blocks(README) if block.language == "toml")
    (test,) = (block.text for block in blocks(README) if block.language == "python")
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/mine.toml").write_text(declaration, encoding="utf-8")
    (tmp_path / "test_mine.py").write_text(test, encoding="utf-8")
    assert len(declaration.splitlines()) <= 10
    done = envmatrix("envmatrix run mine", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_who_has_a_suite_and_a_stack_begins_there() -> None:
    """The first page that newcomers are sent to is theirs."""
    _, _, pages = README.read_text(encoding="utf-8").partition("## Read on\n\n")
    assert pages.startswith("- **[I have a suite and a stack](docs/how-to/existing-suite.md)**")
