"""The settings of `envmatrix audit`: its options, else `[tool.envmatrix.audit]`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envmatrix.analysis.audit.baseline import FILE
from envmatrix.analysis.audit.rules.catalog import misspelt, spelling
from envmatrix.analysis.audit.selection import RuleSelection
from envmatrix.analysis.index.build import CONTRACTS
from envmatrix.exceptions import DeclarationError, UsageError
from envmatrix.safety.input_files import read_bytes

if TYPE_CHECKING:
    from envmatrix.environments import AuditPolicy, Project


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Settings of an audit. Paths are absolute."""

    root: Path
    selection: RuleSelection
    baseline: Path
    contracts: frozenset[str] = CONTRACTS
    """Fixtures that keep a contract."""

    @classmethod
    def find(
        cls,
        paths: Sequence[Path],
        select: Iterable[str] | None = None,
        ignore: Iterable[str] | None = None,
        per_file_ignores: Iterable[str] | None = None,
    ) -> AuditSettings:
        """Read options, and for those that are not given the table of the nearest `pyproject.toml`.

        Raises:
            UsageError: an option names no rule.
            DeclarationError: the table is wrong, or names no rule.
        """
        options = {
            "--select": _codes(select or ()),
            "--ignore": _codes(ignore or ()),
            **{f"--per-file-ignores {glob}": codes for glob, codes in _patterns(per_file_ignores or ()).items()},
        }
        for option, words in options.items():
            if word := misspelt(words):
                raise UsageError(f"{option}: no rule begins with {word!r:.80}", spelling(word))
        root, project = _project(paths)
        policy = project.audit if project else None
        chosen = RuleSelection() if policy is None else _selection(policy)
        return cls(
            root,
            RuleSelection(
                options["--select"] or chosen.select,
                options["--ignore"] or chosen.ignore,
                tuple(_patterns(per_file_ignores or ()).items()) or chosen.per_file_ignores,
            ),
            root / (FILE if policy is None else policy.baseline),
            CONTRACTS | (project.contracts.keys() if project else frozenset()),
        )


def _project(paths: Sequence[Path]) -> tuple[Path, Project | None]:
    """Return the root of the tree to audit, and the settings of its project.

    The root is where the nearest `pyproject.toml` is; without one it is here, or where the paths are, if that is elsewhere.
    """
    here = Path.cwd()
    start = Path(os.path.commonpath([here / path for path in paths] or [here])).resolve()
    start = start if start.is_dir() else start.parent
    for directory in (start, *start.parents):
        file = directory / "pyproject.toml"
        if file.is_file():
            if b"envmatrix" not in read_bytes(file):  # what reads the table takes longer to start than a small audit
                return directory, None
            from envmatrix.environments import Project

            project = Project.find(directory)
            _check(file, project.audit)
            return directory, project
    return (here if start.is_relative_to(here) else start), None


def _selection(policy: AuditPolicy) -> RuleSelection:
    return RuleSelection(policy.select, policy.ignore, tuple(policy.per_file_ignores.items()))


def _check(file: Path, policy: AuditPolicy) -> None:
    tables: Mapping[tuple[str, ...], Sequence[str]] = {
        ("select",): policy.select,
        ("ignore",): policy.ignore,
        **{("per_file_ignores", glob): codes for glob, codes in policy.per_file_ignores.items()},
    }
    for keys, words in tables.items():
        if word := misspelt(words):
            from envmatrix.environments import read_toml

            where = ("tool", "envmatrix", "audit", *keys)
            what = f"{'.'.join(where)}: no rule begins with {word!r:.80}"
            raise DeclarationError(file, what, read_toml(file).line_of(where), spelling(word))


def _codes(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for value in values for word in value.replace(",", " ").split())


def _patterns(values: Iterable[str]) -> dict[str, tuple[str, ...]]:
    patterns: dict[str, tuple[str, ...]] = {}
    for value in values:
        glob, colon, codes = value.rpartition(":")
        if not colon or not glob or not codes.strip():
            raise UsageError(
                f"--per-file-ignores {value!r:.80} has no pattern and codes", "Write 'tests/old/*:EM105,EM3'"
            )
        patterns[glob] = (*patterns.get(glob, ()), *_codes([codes]))
    return patterns
