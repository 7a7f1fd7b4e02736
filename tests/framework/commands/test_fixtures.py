"""`envmatrix fixtures`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envmatrix.__main__ import main
from tests.framework.analysis.trees import write_tree


@pytest.fixture(scope="module")
def basket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one fixture."""
    root = tmp_path_factory.mktemp("basket")
    source = "import pytest\n\n@pytest.fixture\ndef basket():\n    '''Empty.'''\n    return {'items': 0}\n"
    return write_tree(root, {"conftest.py": source, "test_a.py": "def test_a(basket): ...\n", "sub/x.txt": ""})


@pytest.fixture(autouse=True)
def _here(basket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(basket / "sub")


def call(*words: str) -> int:
    """Call the command line; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["fixtures", *words])
    return int(ended.value.code or 0)


def test_all_are_listed_from_anywhere_in_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    """With where each is provided, from the project's root."""
    assert call() == 0
    assert "basket   function  conftest.py:4      1  Empty." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("form", "beginning"),
    [("text", "basket: 1 provider"), ("markdown", "| fixture |"), ("mermaid", "flowchart LR"), ("json", "{")],
)
def test_one_is_told_in_each_form(capsys: pytest.CaptureFixture[str], form: str, beginning: str) -> None:
    """The same fixture, for whoever reads."""
    assert call("basket", "--format", form) == 0
    out = capsys.readouterr().out
    assert out.startswith(beginning)
    assert "basket" in out
    if form == "json":
        assert json.loads(out)["fixtures"][0]["providers"][0]["used_by"] == ["test_a.py::test_a"]


@pytest.mark.parametrize(
    ("words", "said"), [(("baskte",), "Did you mean 'basket'?"), (("--format", "mermiad"), "Did you mean 'mermaid'?")]
)
def test_what_is_not_known_is_exit_2(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str) -> None:
    """With the nearest right spelling."""
    assert call(*words) == 2
    assert said in capsys.readouterr().err


def test_nothing_to_list_is_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty list would look as if there were tests without a fixture."""
    monkeypatch.chdir(tmp_path)
    assert call() == 2
    assert f"nothing to list: pytest would collect no file of {tmp_path}" in capsys.readouterr().err
