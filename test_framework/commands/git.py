"""What we ask git. A project may be no checkout, and git not be there: then nobody knows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

_DEADLINE = 5.0
"""Seconds for one question."""


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
