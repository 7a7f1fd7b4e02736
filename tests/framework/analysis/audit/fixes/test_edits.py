"""Changes to files are shown as git shows them, and made together or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from envmatrix.analysis.audit.fixes import edits
from envmatrix.analysis.audit.fixes.edits import Edit, read, restore, write
from envmatrix.exceptions import CannotFixError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with one file."""
    (tmp_path / "old.py").write_text("a\n")
    return tmp_path


CHANGE = Edit("old.py", "a\n", "b\n")
NEW = Edit("new.py", None, "new\n")


def test_git_applies_what_is_shown(tmp_path: Path) -> None:
    """New files, line ends of both kinds, form feeds, and files whose last line has no end."""
    changes = [
        Edit("a.py", "x\r\n\f\r\ny", "x\r\n\f\r\nz"),
        Edit("b.py", "x\n\x85\u2028y\n", "x\n\x85\u2028y"),
        Edit("c.py", "x", ""),
        NEW,
    ]
    for change in changes:
        if change.before is not None:
            (tmp_path / change.path).write_bytes(change.before.encode())
    shown = "".join(change.diff for change in changes).encode()
    subprocess.run(["git", "apply", "--unsafe-paths", "-"], cwd=tmp_path, input=shown, check=True)
    for change in changes:
        assert read(tmp_path, change.path) == change.after


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda root: (root / "old.py").write_bytes(b"\xff"),
        lambda root: (root / "old.py").unlink(),
        lambda root: (root / "new.py").touch(),
    ],
    ids=["changed", "deleted", "created"],
)
def test_what_is_not_as_it_was_read_is_not_overwritten(root: Path, meanwhile) -> None:
    """Nor is anything else written."""
    meanwhile(root)
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    with pytest.raises(CannotFixError, match="was changed meanwhile"):
        write(root, [CHANGE, NEW])
    assert {path.name: path.read_bytes() for path in root.iterdir()} == before


def test_where_one_cannot_be_written_none_is(root: Path) -> None:
    """Those before it are put back, and what did not change is not touched."""
    gone = Edit("missing/new.py", None, "new\n")
    with pytest.raises(CannotFixError, match=r"missing/new\.py cannot be written: No such file or directory\. Nothing"):
        write(root, [CHANGE, NEW, gone])
    assert {path.name: path.read_text() for path in root.iterdir()} == {"old.py": "a\n"}


def test_what_cannot_be_put_back_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are put back all the same."""
    write(root, [CHANGE, NEW])
    kept = Path.write_bytes
    monkeypatch.setattr(edits.Path, "write_bytes", lambda path, data: kept(path / "not", data))
    with pytest.raises(CannotFixError, match=r"old\.py cannot be put back"):
        restore(root, [CHANGE, NEW])
    assert not (root / "new.py").exists()


@pytest.mark.parametrize("target", ["old.py", "nowhere.py", "/etc/hostname"])
def test_a_link_is_left_alone(root: Path, target: str) -> None:
    """What it leads to may be somebody else's as well, or outside of the tree."""
    (root / "link.py").symlink_to(target)
    (root / "here").symlink_to(root)
    for path in ("link.py", "here/old.py"):
        with pytest.raises(CannotFixError, match="through a link"):
            read(root, path)
