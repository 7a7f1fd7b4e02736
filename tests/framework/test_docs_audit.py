"""The pages about the audit are true: every rule has its page, and commands print what the how-to shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from envmatrix.__main__ import main
from envmatrix.analysis.audit.rules.catalog import ALL
from tests.framework.docs_pages import ROOT, blocks, headings

HOW_TO = ROOT / "docs/how-to/audit.md"


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.code)
def test_a_rules_page_says_what_and_why_and_what_to_do(rule) -> None:
    """Under its code and name, with an example that shows the code."""
    page = ROOT / f"docs/rules/{rule.code}.md"
    assert headings(page) == [f"{rule.code}: {rule.name}"]
    text = page.read_text(encoding="utf-8")
    for part in ("**Why it matters.**", "**Example.**", "**What to do.**", "**What it cannot see.**"):
        assert part in text
    assert any(f": {rule.code} " in block.text for block in blocks(page) if block.language == "text")
    assert ("`envmatrix audit --fix`" in text) is rule.is_fixable


def test_who_follows_the_how_to_sees_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each file is written, each command run: exit codes and output are those on the page."""
    monkeypatch.chdir(tmp_path)
    shown = ""
    for block in blocks(HOW_TO):
        if block.title.endswith((".py", "pyproject.toml")):
            (tmp_path / block.title).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.title).write_text(block.text)
        elif block.title.startswith("exit-"):
            with pytest.raises(SystemExit) as ended:
                main(block.text.removeprefix("$ envmatrix ").split())
            shown, said = capfd.readouterr()
            assert f"exit-{ended.value.code}" == block.title, said
        elif block.language == "text":
            assert shown == block.text


def test_the_hooks_call_what_there_is() -> None:
    """Each hook of `.pre-commit-hooks.yaml` is a command of ours that takes no file names, and is on the page."""
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()):
        assert hook["pass_filenames"] is False
        assert f"id: {hook['id']}" in HOW_TO.read_text()
        with pytest.raises(SystemExit) as ended:
            main([*hook["entry"].removeprefix("envmatrix ").split(), "--help"])
        assert ended.value.code == 0


def test_no_message_names_a_line() -> None:
    """The baseline knows a finding by its message: a line in it would bring the finding back with every change above."""
    findings = [
        line.partition(f" {code} ")[2]
        for code in (each.code for each in ALL)
        for line in (ROOT / "docs/rules" / f"{code}.md").read_text().splitlines()
        if f": {code} " in line
    ]
    assert len(findings) > len(ALL) // 2
    assert [message for message in findings if ".py:" in message] == []
