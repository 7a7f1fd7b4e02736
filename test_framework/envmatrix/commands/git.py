"""What we ask git. A project may be no checkout, and git not be there: then nobody knows."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from envmatrix.exceptions import UsageError

if TYPE_CHECKING:
    from envmatrix.analysis.impact import Change

_DEADLINE = 5.0
"""Seconds for one question."""
_DIFF_DEADLINE = 60.0
"""Seconds for one about all files of a large checkout."""


def full_commit(root: Path, revision: str) -> str:
    """Return the full name of the commit that a revision means; empty where git knows none."""
    said = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return said.strip()


def order_of(root: Path, commits: Iterable[str]) -> Mapping[str, int]:
    """Number the commits that the repository knows, parents before their children."""
    asked = {commit for commit in commits if re.fullmatch(r"[0-9a-f]{40,64}", commit)}
    if not asked:
        return {}
    said = _git(root, "rev-list", "--topo-order", "--reverse", "--ignore-missing", "--stdin", told="\n".join(asked))
    return {commit: number for number, commit in enumerate(each for each in said.split() if each in asked)}


def of_other_branches(root: Path, commits: Iterable[str]) -> frozenset[str]:
    """Return the commits that HEAD neither comes from nor leads to, of those that the repository knows."""
    asked = {commit for commit in commits if re.fullmatch(r"[0-9a-f]{40,64}", commit)}
    told = "\n".join((*asked, "^HEAD"))
    away = asked.intersection(_git(root, "rev-list", "--ignore-missing", "--stdin", told=told).split())
    if not away:
        return frozenset()
    return frozenset(away).difference(
        _git(root, "rev-list", "--ancestry-path", "--ignore-missing", "--stdin", told=told).split()
    )


def changes_since(root: Path, revision: str) -> tuple[Change, ...]:
    """Return what differs between a revision and the files that are there now, those that git does not track included.

    Paths are relative to `root`; those outside of it begin with `../`. Only of Python and TOML files is the content read.

    Raises:
        UsageError: there is no git, no checkout or no such revision.
    """
    commit = full_commit(root, revision)
    if not commit:
        if not _git(root, "rev-parse", "--git-dir"):
            raise UsageError(f"{root} is no git checkout, or there is no git", "Impact is what differs from a commit")
        how = "Name a commit, a branch or a tag; a shallow clone lacks most: git fetch --unshallow"
        raise UsageError(f"git knows no revision {revision!r}", how)
    try:
        top = Path(os.fsdecode(_ask(root, "rev-parse", "--show-toplevel").rstrip(b"\n")))
        said = _ask(root, "diff", "--name-status", "-z", "-M", "--no-ext-diff", commit, "--", ":/")
        others = _ask(root, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/")
        pairs = [*_pairs(said), *((None, os.fsdecode(path)) for path in others.split(b"\0") if path)]
        old = _contents(root, commit, [before for before, _ in pairs if before is not None and _is_read(before)])
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"git cannot say what differs from {revision}: {error}") from None
    return tuple(_change(root, top, before, after, old) for before, after in pairs)


def tracked(root: Path, pattern: str) -> tuple[str, ...]:
    """Return the files below a directory that git tracks or would, by a pattern such as `*.py`; none without git."""
    said = _git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", pattern)
    return tuple(dict.fromkeys(path for path in said.split("\0") if path and (root / path).is_file()))


def _pairs(said: bytes) -> Iterator[tuple[str | None, str | None]]:
    """Yield the place before and the place now of each file that `git diff --name-status -z` lists."""
    words = iter(said.split(b"\0"))
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
    asked = [path for path in paths if "\n" not in path]
    said = _ask(root, "cat-file", "--batch", told=b"".join(os.fsencode(f"{commit}:{path}\n") for path in asked))
    found = {}
    for path in asked:
        head, _, said = said.partition(b"\n")
        if head.endswith(b" missing"):
            continue
        size = int(head.split()[-1])
        found[path], said = said[:size], said[size + 1 :]
    return found


def _change(root: Path, top: Path, before: str | None, after: str | None, old: Mapping[str, bytes]) -> Change:
    from envmatrix.analysis.impact import Change

    path = after if after is not None else before or ""
    is_read = _is_read(path)
    new = None
    if after is not None:
        try:
            new = (top / after).read_bytes() if is_read else b""
        except OSError:  # a link that leads nowhere, a submodule
            new = b""
    return Change(
        path=_relative(root, top / path),
        old_path=_relative(root, top / (before or path)),
        old=None if before is None else old.get(before, b""),
        new=new,
    )


def _relative(root: Path, path: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _ask(root: Path, *words: str, told: bytes = b"") -> bytes:
    """Ask git, and let it fail."""
    return subprocess.run(  # noqa: S603  fixed words, and a commit among them
        ("git", "-C", str(root), *words),  # noqa: S607  git is wherever PATH says
        input=told,
        capture_output=True,
        timeout=_DIFF_DEADLINE,
        check=True,
    ).stdout


def _git(root: Path, *words: str, told: str = "") -> str:
    try:
        return subprocess.run(  # noqa: S603  fixed words, and a revision after them
            ("git", "-C", str(root), *words),  # noqa: S607  git is wherever PATH says
            input=told,
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=True,
        ).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
