"""What git is asked about a project, on real repositories."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envmatrix import git
from envmatrix.__main__ import main
from envmatrix.exceptions import UsageError
from tests.framework.bare import make_bare
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
    problem = git.working_tree(checkout).problem
    assert "dubious ownership" in problem
    assert f"git config --global --add safe.directory {checkout}" in problem


def test_a_git_that_hangs_is_given_up(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question has a deadline."""
    program(tmp_path / "bin/git", 'case "$*" in *status*) exec sleep 60;; esac')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(git, "_FILES_DEADLINE", 0.2)
    assert git.working_tree(checkout).problem == "git status did not answer within 0.2 s"


def test_without_git_nothing_is_known(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says that git cannot be run."""
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert git.working_tree(checkout).problem == "git cannot be run: No such file or directory"


def make_hostile(checkout: Path, marker: Path, name: str = "spy") -> None:
    """Have every setting of a checkout that names a program name one that leaves a marker."""
    spy = program(marker.with_name("spy"), f"touch {marker}\ncat")
    program(checkout / ".git/hooks/post-index-change", f"touch {marker}")
    included = checkout / ".git/more"
    call(checkout, "config", "include.path", os.fspath(included))
    call(checkout, "config", "--file", os.fspath(included), "filter.included.clean", os.fspath(spy))
    for key in ("core.fsmonitor", "diff.external", f"diff.{name}.command", f"diff.{name}.textconv", "core.pager"):
        call(checkout, "config", key, os.fspath(spy))
    call(checkout, "config", f"filter.{name}.clean", os.fspath(spy))
    call(checkout, "config", f"filter.{name}.required", "true")
    (checkout / ".git/info").mkdir(exist_ok=True)
    (checkout / ".git/info/attributes").write_text(f"login.py diff={name} filter={name}\nstore.py filter=included\n")
    (checkout / "login.py").write_text("x = 2\n")
    (checkout / "store.py").write_text("def save(): return 1\n")


def test_no_program_of_the_checkout_is_run(checkout: Path, tmp_path: Path) -> None:
    """No monitor, hook, filter or external diff, of a submodule neither: asking is safe in any checkout."""
    inner = checkout / "inner"
    call(tmp_path, "clone", "-q", os.fspath(checkout), os.fspath(inner))
    call(checkout, "add", "inner")
    call(checkout, "commit", "-qm", "inner")
    make_hostile(checkout, tmp_path / "was-run")
    make_hostile(inner, tmp_path / "was-run", "other")
    assert git.working_tree(checkout).dirty
    assert [file.path for file in git.files_changed_since(checkout, "HEAD")] == ["login.py", "store.py", "inner"]
    assert not (tmp_path / "was-run").exists()
    call(inner, "-c", "core.fsmonitor=false", "status")
    assert (tmp_path / "was-run").exists()  # what git itself would have done


def test_what_a_commit_lacks_is_not_fetched(checkout: Path, tmp_path: Path) -> None:
    """A partial clone may name any program as its remote: what is not here is not known."""
    spy = program(tmp_path / "spy", f"touch {tmp_path / 'was-run'}")
    for key, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", f"ext::{spy}"),
        ("protocol.ext.allow", "always"),
    ):
        call(checkout, "config", key, value)
    blob = call(checkout, "rev-parse", "HEAD:login.py")
    (checkout / ".git/objects" / blob[:2] / blob[2:]).unlink()
    (checkout / "login.py").write_text("x = 2\n")
    with pytest.raises(UsageError, match="git cannot say what differs from HEAD"):
        git.files_changed_since(checkout, "HEAD")
    assert not (tmp_path / "was-run").exists()


def test_a_change_in_a_submodule_is_dirty(checkout: Path) -> None:
    """Tests may stand there; a setting that hides such changes is passed over."""
    inner = checkout / "inner"
    call(checkout, "clone", "-q", ".", "inner")
    call(checkout, "add", "inner")
    call(checkout, "commit", "-qm", "inner")
    assert not git.working_tree(checkout).dirty
    call(checkout, "config", "diff.ignoreSubmodules", "all")
    (inner / "conftest.py").write_text("")
    assert git.working_tree(checkout).dirty


def test_the_variables_of_a_hook_do_not_change_the_answer(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git names its repository and index to a hook; a project in it, or elsewhere, is asked about by its own place."""
    expected = git.working_tree(checkout)
    call(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", os.fspath(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", os.fspath(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", os.fspath(tmp_path / "no-index"))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    assert git.working_tree(checkout) == expected
    assert git.files_changed_since(checkout, "HEAD") == ()


@pytest.mark.parametrize(
    "words",
    [["impact", "--since", "HEAD"], ["gate"], ["compare", "last", "last"], ["history"], ["audit"]],
    ids=" ".join,
)
def test_a_command_runs_no_program_of_the_checkout(
    hostile: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """Nor does a run: the marker of the hostile settings is never made."""
    monkeypatch.chdir(hostile)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code != 2
    assert not hostile.with_name("was-run").exists()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hostile checkout, in which the matrix was run."""
    bare = make_bare(tmp_path_factory.mktemp("hostile") / "checkout")
    bare.write("login.py", "x = 1\n")
    bare.write("store.py", "def save(): ...\n")
    call(bare.root, "init", "-q")
    call(bare.root, "add", "-A")
    call(bare.root, "commit", "-qm", "all")
    make_hostile(bare.root, bare.root.with_name("was-run"))
    assert bare.run("matrix", "local", "--quiet").returncode == 0
    return bare.root


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_a_file_name_of_any_bytes_is_listed(checkout: Path) -> None:
    """Before and after the change; names that are no UTF-8, and those with line breaks, cannot break an answer."""
    names = [os.fsdecode(b"caf\xe9.py"), "two\nlines.py"]
    for name in names:
        (checkout / name).write_text("x = 1\n")
    assert [file.path for file in git.files_changed_since(checkout, "HEAD")] == names
    call(checkout, "add", "-A")
    call(checkout, "commit", "-qm", "names")
    (checkout / names[0]).write_text("x = 2\n")
    assert git.files_changed_since(checkout, "HEAD") == ((names[0], names[0], b"x = 1\n", b"x = 2\n"),)


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
    """Deadline and safe flags stand once; contexts pass over the git that others start."""
    sources = (ROOT / "test_framework/envmatrix").rglob("*.py")
    assert {path.name for path in sources if '"git"' in path.read_text()} == {"contexts.py", "git.py"}
