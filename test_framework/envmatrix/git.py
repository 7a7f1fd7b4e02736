"""Ask git about a project; no other module runs it.

Git may be missing, slow, or refuse a directory that another user owns: an answer then says so in git's own sentence.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from envmatrix.exceptions import DeclarationError, UsageError
from envmatrix.safety.input_files import read_bytes

_DEADLINE = 5.0
"""Seconds for a question about commits."""
_FILES_DEADLINE = 60.0
"""Seconds for a question about all files of a large checkout."""
_COMMAND = ("git", "--no-pager", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
"""A question runs no program that the checkout's own configuration names; filters have their names from the checkout."""
_VARIABLES = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}
"""A question takes no lock, asks nobody for a password, fetches nothing, and is answered in English."""
_NOT_INSIDE = "--ignore-submodules=dirty"
"""Git itself would ask each submodule by that one's own configuration."""
_INHERITED = re.compile(r"(?!GIT_)|GIT_(CONFIG|CEILING_DIRECTORIES|DISCOVERY_|EXEC_PATH|TEST_)")
"""Variables that git gets. Not those by which a hook names its repository, index or prefix: we ask about the project's."""
_FILTER = re.compile(r"(filter\..*)\.(clean|process)", re.DOTALL)
"""A setting that names a program through which `status` and `diff` send changed files."""
_OF_THE_CHECKOUT = frozenset({"local", "worktree"})
"""Scopes of configuration that whoever made the checkout has written."""


class GitError(Exception):
    """Git gave no answer; the text is its own sentence where it said one."""


@dataclass(frozen=True, slots=True)
class WorkingTree:
    """A checkout: its commit, and whether its files differ from it."""

    commit: str
    """The full name; `unknown` where git does not tell."""
    dirty: bool
    """Whether `git status` shows a change: edited, added, removed and untracked files count, ignored ones do not."""
    problem: str = ""
    """Why the commit is unknown, in git's own sentence."""


class ChangedFile(NamedTuple):
    """One file that differs from a commit. Paths are relative to the root that was asked about, with slashes."""

    path: str
    """Where the file is; where it was, if it is gone."""
    old_path: str
    """Where the file was: another place if it was renamed."""
    old: bytes | None
    """The content before; `None` where there was no such file, empty for all but Python and TOML files."""
    new: bytes | None
    """The content now, likewise."""


def working_tree(root: Path) -> WorkingTree:
    """Return the commit that is checked out, and whether files differ from it."""
    words = ("status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--no-renames", "--untracked-files=normal")
    try:
        answer = _ask(root, *words, _NOT_INSIDE, options=_without_filters(root), deadline=_FILES_DEADLINE)
        lines = os.fsdecode(answer).splitlines()
        inner = [working_tree(submodule) for submodule in _submodules(root)]
    except GitError as error:
        return WorkingTree("unknown", dirty=False, problem=str(error))
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "(initial)")
    if commit == "(initial)":
        return WorkingTree("unknown", dirty=False, problem="the repository has no commit yet")
    if problem := next((each.problem for each in inner if each.problem), ""):
        return WorkingTree("unknown", dirty=False, problem=problem)
    dirty = any(not line.startswith("# ") for line in lines) or any(each.dirty for each in inner)
    return WorkingTree(commit, dirty)


def full_commit(root: Path, revision: str, deadline: float = _DEADLINE) -> str:
    """Return the full name of the commit that a revision means; empty where git knows none."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return "".join(_words(root, *words, deadline=deadline))


def edited_since(root: Path, moment: float, deadline: float = _DEADLINE) -> tuple[str, ...]:
    """Return the tracked Python files below a directory that differ and were written after a moment; none without git."""
    try:
        words = ("ls-files", "--modified", "-z", "--", "*.py")
        answer = _ask(root, *words, options=_without_filters(root), deadline=deadline)
    except GitError:
        return ()
    paths = os.fsdecode(answer).split("\0")
    return tuple(path for path in paths if (file := root / path).is_file() and file.stat().st_mtime > moment)


def commit_order(root: Path, commits: Iterable[str]) -> Mapping[str, int]:
    """Number the commits that the repository knows, parents before their children."""
    names = _full_names(commits)
    if not names:
        return {}
    words = ("rev-list", "--topo-order", "--reverse", "--ignore-missing", "--stdin")
    history = _words(root, *words, stdin="\n".join(names))
    return {commit: number for number, commit in enumerate(each for each in history if each in names)}


def commits_elsewhere(root: Path, commits: Iterable[str]) -> frozenset[str]:
    """Return the known commits that are neither ancestors nor descendants of HEAD."""
    names = _full_names(commits)
    stdin = "\n".join((*names, "^HEAD"))
    ahead = names.intersection(_words(root, "rev-list", "--ignore-missing", "--stdin", stdin=stdin))
    if not ahead:
        return frozenset()
    return ahead.difference(_words(root, "rev-list", "--ancestry-path", "--ignore-missing", "--stdin", stdin=stdin))


def files_changed_since(root: Path, revision: str) -> tuple[ChangedFile, ...]:
    """Return the files that differ between a revision and now, untracked ones included.

    Files outside of `root` have paths that begin with `../`.

    Raises:
        UsageError: there is no git, no checkout or no such revision.
    """
    commit = full_commit(root, revision)
    if not commit:
        if why := working_tree(root).problem:
            raise UsageError(
                f"{root} is no git checkout that git can read: {why}", "Impact is what differs from a commit"
            )
        how = "Name a commit, a branch or a tag; a shallow clone lacks most: git fetch --unshallow"
        raise UsageError(f"git knows no revision {revision!r}", how)
    diff = ("diff", "--name-status", "-z", "-M", "--no-ext-diff", "--no-textconv", _NOT_INSIDE, commit, "--", ":/")
    untracked = ("ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/")
    try:
        top = Path(os.fsdecode(_ask(root, "rev-parse", "--show-toplevel").rstrip(b"\n")))
        new = os.fsdecode(_ask(root, *untracked, deadline=_FILES_DEADLINE)).split("\0")
        edited = [_relative(top, path) for path in _submodules(root) if working_tree(path).dirty]
        pairs = dict.fromkeys(
            (
                *_renames(_ask(root, *diff, options=_without_filters(root), deadline=_FILES_DEADLINE)),
                *((None, path) for path in new if path),
                *((path, path) for path in edited),
            )
        )
        old = _contents(root, commit, [before for before, _ in pairs if before is not None and _is_read(before)])
    except (GitError, ValueError) as error:
        raise UsageError(f"git cannot say what differs from {revision}: {error}") from None
    return tuple(_changed(root, top, before, after, old) for before, after in pairs)


def tracked_files(root: Path, pattern: str) -> tuple[str, ...]:
    """Return the files below a directory that git tracks or would, by a pattern such as `*.py`; none without git."""
    words = ("ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", pattern)
    try:
        paths = os.fsdecode(_ask(root, *words, deadline=_FILES_DEADLINE)).split("\0")
    except GitError:
        return ()
    return tuple(dict.fromkeys(path for path in paths if path and (root / path).is_file()))


def _submodules(root: Path) -> list[Path]:
    """Return the submodules that are checked out; each is asked by itself, since its configuration is its own."""
    lines = os.fsdecode(_ask(root, "ls-files", "--stage", "-z", "--", ":/", deadline=_FILES_DEADLINE)).split("\0")
    paths = (root / line.partition("\t")[2] for line in lines if line.startswith("160000 "))
    return [path for path in paths if (path / ".git").exists()]


def _without_filters(root: Path) -> list[str]:
    """Return options that keep git from running the filters of the checkout's own configuration on changed files.

    Those of the user's, as of git-lfs, are run as ever.
    """
    words = iter(os.fsdecode(_ask(root, "config", "--list", "--null", "--show-scope", "--name-only")).split("\0"))
    keys = (_FILTER.fullmatch(key) for scope, key in zip(words, words, strict=False) if scope in _OF_THE_CHECKOUT)
    names = {key[1] for key in keys if key}
    settings = [f"{name}.{key}" for name in sorted(names) for key in ("clean=", "process=", "required=false")]
    return [word for setting in settings for word in ("-c", setting)]


def _full_names(commits: Iterable[str]) -> frozenset[str]:
    return frozenset(commit for commit in commits if re.fullmatch(r"[0-9a-f]{40,64}", commit))


def _renames(diff: bytes) -> Iterator[tuple[str | None, str | None]]:
    """Yield the place before and the place now of each file that `git diff --name-status -z` lists."""
    words = iter(diff.split(b"\0"))
    for status in words:
        if not status:
            continue
        first = os.fsdecode(next(words))
        match status[:1]:
            case b"A":
                yield None, first
            case b"D":
                yield first, None
            case b"R":
                yield first, os.fsdecode(next(words))
            case b"C":
                yield None, os.fsdecode(next(words))
            case _:
                yield first, first


def _is_read(path: str) -> bool:
    return path.endswith((".py", ".toml"))


def _contents(root: Path, commit: str, paths: Iterable[str]) -> Mapping[str, bytes]:
    """Return the files as they were in a commit, all by one process."""
    wanted = [path for path in paths if "\n" not in path]
    stdin = b"".join(os.fsencode(f"{commit}:{path}\n") for path in wanted)
    answer = _ask(root, "cat-file", "--batch", stdin=stdin, deadline=_FILES_DEADLINE)
    contents = {}
    for path in wanted:
        head, _, answer = answer.partition(b"\n")
        if head.endswith(b" missing"):
            continue
        size = int(head.split()[-1])
        contents[path], answer = answer[:size], answer[size + 1 :]
    return contents


def _changed(root: Path, top: Path, before: str | None, after: str | None, old: Mapping[str, bytes]) -> ChangedFile:
    path = after if after is not None else before or ""
    new = None
    if after is not None:
        try:
            new = read_bytes(top / after) if _is_read(path) else b""
        except DeclarationError:  # a link that leads nowhere or to a device, a submodule
            new = b""
    return ChangedFile(
        path=_relative(root, top / path),
        old_path=_relative(root, top / (before or path)),
        old=None if before is None else old.get(before, b""),
        new=new,
    )


def _relative(root: Path, path: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _words(root: Path, *words: str, stdin: str = "", deadline: float = _DEADLINE) -> list[str]:
    """Return the words of an answer about commits; none where git does not answer."""
    try:
        return _ask(root, *words, stdin=stdin.encode(), deadline=deadline).decode().split()
    except GitError:
        return []


def _ask(
    root: Path, *words: str, options: Iterable[str] = (), stdin: bytes = b"", deadline: float = _DEADLINE
) -> bytes:
    """Return what git prints; `options` stand before its command.

    Raises:
        GitError: it is not installed, does not answer in time, or refuses.
    """
    try:
        return subprocess.run(  # noqa: S603  fixed words, and a revision or commits among them
            (*_COMMAND, "-C", str(root), *options, *words),
            env={name: value for name, value in os.environ.items() if _INHERITED.match(name)} | _VARIABLES,
            input=stdin,
            capture_output=True,
            timeout=deadline,
            check=True,
        ).stdout
    except subprocess.TimeoutExpired:
        raise GitError(f"git {words[0]} did not answer within {deadline:g} s") from None
    except subprocess.CalledProcessError as error:
        sentence = " ".join(error.stderr.decode(errors="replace").split())
        raise GitError(sentence or f"git {words[0]} ended with exit code {error.returncode}") from None
    except (OSError, ValueError) as error:  # not installed; a NUL byte in a revision
        raise GitError(f"git cannot be run: {getattr(error, 'strerror', None) or error}") from None
