"""The files of a project, and when they change."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from envmatrix.analysis.impact import FileChange
from envmatrix.exceptions import MissingExtraError, UsageError
from envmatrix.runner.watched import WatchedFiles, wakes


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout that ignores logs."""
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "a.py").write_text("A = 1\n")
    (tmp_path / "data.bin").write_bytes(b"1")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, timeout=30)
    return tmp_path


def test_what_changed_is_known_before_and_after(checkout: Path) -> None:
    """Edited, new and deleted files; other files than source by digests alone."""
    files = WatchedFiles(checkout)
    (checkout / "a.py").write_text("A = 2\n")
    (checkout / "b.py").write_text("B = 1\n")
    (checkout / "data.bin").unlink()
    *source, data = files.changes({"b.py", "a.py", "data.bin", "never-there.py"})
    assert source == [FileChange("a.py", "a.py", b"A = 1\n", b"A = 2\n"), FileChange("b.py", "b.py", None, b"B = 1\n")]
    assert (data.path, data.new) == ("data.bin", None)
    files.accept([*source, data])
    assert files.changes({"a.py", "b.py", "data.bin"}) == ()


def test_what_git_ignores_or_was_written_as_it_was_has_not_changed(checkout: Path) -> None:
    """A test's log, and a save without an edit."""
    files = WatchedFiles(checkout)
    (checkout / "out.log").write_text("x")
    (checkout / "a.py").write_text("A = 1\n")
    (checkout / "data.bin").write_bytes(b"1")
    assert files.changes({"out.log", "a.py", "data.bin"}) == ()
    assert files.changes(set()) == ()


def test_a_directory_without_git_cannot_be_watched(tmp_path: Path) -> None:
    """Nothing there says which files are the project's."""
    (tmp_path / "a.py").touch()
    with pytest.raises(UsageError, match="is no git checkout with files in it"):
        WatchedFiles(tmp_path)


def test_changes_are_noted_while_nobody_waits(checkout: Path) -> None:
    """Those before are not; git's own files and ours are none."""
    (checkout / ".envmatrix").mkdir()
    with closing(wakes(checkout)) as waking:
        assert next(waking) == set()
        (checkout / ".envmatrix/run").touch()
        (checkout / ".git/index").touch()
        (checkout / "a.py").write_text("A = 2\n")
        (checkout / "package").mkdir()
        assert next(waking) == {"a.py", "package"}
        (checkout / "package/b.py").touch()
        assert next(waking) == {"package/b.py"}


def test_without_watchfiles_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An extra of ours."""
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(MissingExtraError) as raised:
        next(wakes(tmp_path))
    assert "pip install 'envmatrix[rerun]'" in str(raised.value)
