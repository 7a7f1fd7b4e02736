"""What git is asked about a project, on real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from envmatrix import git
from envmatrix.exceptions import UsageError
from tests.framework.docs_pages import ROOT


def call(root: Path, *words: str) -> str:
    """Run git, and return what it prints."""
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of one commit."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / ".gitignore").write_text("ignored/\n")
    (root / "login.py").write_text("x = 1\n")
    (root / "store.py").write_text("def save(): ...\n")
    (root / "words.py").write_text("words = []\n")
    call(root, "init", "-q", "-b", "main")
    call(root, "add", "-A")
    call(root, "commit", "-qm", "all")
    return root


def program(path: Path, text: str) -> Path:
    """Write a shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_clean_checkout_is_at_its_commit(checkout: Path) -> None:
    """Ignored files change nothing."""
    (checkout / "ignored").mkdir()
    (checkout / "ignored/run.jsonl").write_text("{}")
    head = call(checkout, "rev-parse", "HEAD")
    assert git.working_tree(checkout) == git.WorkingTree(head, dirty=False)
    assert git.full_commit(checkout, "main") == head


@pytest.mark.parametrize("change", ["edited", "staged", "removed", "untracked"])
def test_any_change_that_git_status_shows_is_dirty(checkout: Path, change: str) -> None:
    """Untracked files count too, whatever the user's own configuration says of them."""
    call(checkout, "config", "status.showUntrackedFiles", "no")
    name = "new.py" if change == "untracked" else "login.py"
    (checkout / name).write_text("x = 2\n")
    if change == "staged":
        call(checkout, "add", name)
    if change == "removed":
        (checkout / name).unlink()
    assert git.working_tree(checkout).dirty


def test_a_repository_without_a_commit_is_at_none(tmp_path: Path) -> None:
    """The answer says why the commit is unknown."""
    call(tmp_path, "init", "-q")
    here = git.working_tree(tmp_path)
    assert here == git.WorkingTree("unknown", dirty=False, problem="the repository has no commit yet")


def test_gits_own_sentence_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a checkout the answer says so, whatever repository may be above."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.fspath(tmp_path.parent))
    here = git.working_tree(tmp_path)
    assert (here.commit, here.dirty) == ("unknown", False)
    assert here.problem.startswith("fatal: not a git repository")
    assert git.full_commit(tmp_path, "HEAD") == ""
    assert git.tracked_files(tmp_path, "*.py") == ()
    with pytest.raises(UsageError, match="is no git checkout that git can read: fatal: not a git repository"):
        git.files_changed_since(tmp_path, "HEAD")


def test_a_repository_of_another_owner_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git refuses it, and says so: the usual case inside of a container."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert "dubious ownership" in git.working_tree(checkout).problem


def test_a_git_that_hangs_is_given_up(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question has a deadline."""
    program(tmp_path / "bin/git", "exec sleep 60")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(git, "_FILES_DEADLINE", 0.2)
    assert git.working_tree(checkout).problem == "git status did not answer within 0.2 s"


def test_without_git_nothing_is_known(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says that git cannot be run."""
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert git.working_tree(checkout).problem == "git cannot be run: No such file or directory"


def test_no_program_of_the_checkout_is_run(checkout: Path, tmp_path: Path) -> None:
    """Neither a file-system monitor, nor a hook, nor an external diff: asking is safe in any checkout."""
    spy = program(tmp_path / "spy", f"touch {tmp_path / 'was-run'}")
    program(checkout / ".git/hooks/post-index-change", f"touch {tmp_path / 'was-run'}")
    for key in ("core.fsmonitor", "diff.external", "diff.spy.command", "diff.spy.textconv", "core.pager"):
        call(checkout, "config", key, os.fspath(spy))
    (checkout / ".git/info").mkdir(exist_ok=True)
    (checkout / ".git/info/attributes").write_text("*.py diff=spy\n")
    (checkout / "login.py").write_text("x = 2\n")
    assert git.working_tree(checkout).dirty
    assert [file.path for file in git.files_changed_since(checkout, "HEAD")] == ["login.py"]
    assert not (tmp_path / "was-run").exists()


def test_every_kind_of_difference_is_listed(checkout: Path) -> None:
    """Changed, deleted, renamed, new; names that need quotes included."""
    (checkout / "login.py").write_text("x = 2\n")
    (checkout / "words.py").unlink()
    call(checkout, "mv", "store.py", "shelf.py")
    (checkout / 'a "b" ü.py').write_text("y = 1\n")
    (checkout / "data.bin").write_bytes(b"\0")
    assert git.files_changed_since(checkout, "HEAD") == (
        ("login.py", "login.py", b"x = 1\n", b"x = 2\n"),
        ("shelf.py", "store.py", b"def save(): ...\n", b"def save(): ...\n"),
        ("words.py", "words.py", b"words = []\n", None),
        ('a "b" ü.py', 'a "b" ü.py', None, b"y = 1\n"),
        ("data.bin", "data.bin", None, b""),
    )
    assert set(git.tracked_files(checkout, "*.py")) == {"login.py", "shelf.py", 'a "b" ü.py'}


def test_commits_are_ordered_and_those_of_other_branches_known(checkout: Path) -> None:
    """Parents come before children; a commit that HEAD neither has nor leads to is elsewhere."""
    first = git.full_commit(checkout, "HEAD")
    call(checkout, "checkout", "-qb", "other")
    call(checkout, "commit", "-q", "--allow-empty", "-m", "other")
    other = git.full_commit(checkout, "HEAD")
    call(checkout, "checkout", "-q", "main")
    call(checkout, "commit", "-q", "--allow-empty", "-m", "second")
    second = git.full_commit(checkout, "HEAD")
    assert git.commit_order(checkout, [second, first, "unknown"]) == {first: 0, second: 1}
    assert git.commits_elsewhere(checkout, [first, second, other, "unknown"]) == {other}


def test_only_one_module_runs_git() -> None:
    """Deadline and safe flags stand once."""
    sources = (ROOT / "test_framework/envmatrix").rglob("*.py")
    assert {path.name for path in sources if '"git"' in path.read_text()} == {"git.py"}
