"""Trees of tests, written, read and never run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent

from envmatrix.analysis.index.build import CONTRACTS, index_of
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.source.facts import Module, Wanted
from envmatrix.analysis.source.load import load_modules

_READ: dict[Path, Module] = {}


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    """Write files by their paths, as a project of pytest without plugins but its own."""
    (root / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload\n")
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8", errors="surrogateescape")
    return root


def declare(root: Path) -> None:
    """Make a tree a project that declares an environment."""
    (root / "environments").mkdir(exist_ok=True)
    (root / "environments/local.toml").write_text("")


def tree(root: Path, files: Mapping[str, str]) -> Index:
    """Write files and index them."""
    return index_of(write_tree(root, files), load_modules=read_once)


def read_once(files: Sequence[Path]) -> dict[Path, Module]:
    """Read pytest's own plugins once for all tests."""
    unread = [str(file) for file in files if file not in _READ or "site-packages" not in file.parts]
    _READ.update((Path(path), module) for path, module in load_modules(unread, wanted=Wanted(CONTRACTS)).items())
    return {file: _READ[file] for file in files}
