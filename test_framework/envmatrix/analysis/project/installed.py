"""The packages of a Python environment, read from its directories; no interpreter is started."""

# Paths are text here, for there are very many.
# ruff: noqa: PTH112, PTH120, PTH123
from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from envmatrix.exceptions import UsageError

_SITES = (
    "lib/python3*/site-packages",
    "lib64/python3*/site-packages",
    "lib/python3*/dist-packages",
    "local/lib/python3*/dist-packages",
)


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """`name = module` in a group of a distribution's entry points; an attribute after the module is left out."""

    distribution: str
    """Normalised: lower case, with hyphens."""
    name: str
    module: str


@dataclass(frozen=True)
class Site:
    """The `site-packages` of one Python environment, and what its `.pth` files add."""

    directories: tuple[str, ...]
    """The directories to search for modules, in order; absolute."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Packages that an editable install maps to a directory: their names, and the directory above each."""

    @classmethod
    def of(cls, root: Path, python: Path | None = None) -> Site:
        """Return the environment of an interpreter, of the `.venv` in a tree's root, or the running one.

        Args:
            root: The tree's root. Its `.venv` counts if pytest is installed there.
            python: An interpreter, or the directory of its environment.

        Raises:
            UsageError: no environment with pytest belongs to the given interpreter.
        """
        if python is not None:
            for candidate in (python, python.resolve()):
                if sites := _with_pytest(candidate if candidate.is_dir() else candidate.parent.parent):
                    return cls.read(sites)
            raise UsageError(
                f"no environment with pytest in it belongs to {python}", "Give --python the one tests run in"
            )
        return cls.read(_with_pytest(root / ".venv") or _own())

    @classmethod
    def read(cls, sites: list[Path]) -> Site:
        """Read these directories' `.pth` files."""
        directories: list[str] = []
        packages: dict[str, str] = {}
        for site in sites:
            directories.append(str(site))
            for file in sorted(site.glob("*.pth")):
                for line in _lines(file):
                    if (hook := re.match(r"import\s+(__editable___\w+)", line)) is not None:
                        packages |= _mapping(site / f"{hook[1]}.py")
                    elif not line.startswith(("import ", "import\t", "#")) and (site / line).is_dir():
                        directories.append(os.path.normpath(site / line))
        return cls(tuple(dict.fromkeys(directories)), packages)

    def places(self, head: str) -> tuple[str, ...]:
        """Return the directories in which a top-level name is searched."""
        return (self.packages[head], *self.directories) if head in self.packages else self.directories

    @cached_property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        """Name and directory of metadata of each distribution; the first of a name wins, as in Python."""
        metadata: dict[str, str] = {}
        for directory in self.directories:
            try:
                entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                stem, dot, suffix = entry.name.rpartition(".")
                if dot and suffix in {"dist-info", "egg-info"}:
                    metadata.setdefault(normalised(stem.partition("-")[0]), entry.path)
        return tuple(metadata.items())

    @property
    def distributions(self) -> frozenset[str]:
        """Return the normalised names of the installed distributions."""
        return frozenset(name for name, _ in self._metadata)

    def version(self, distribution: str) -> tuple[int, ...]:
        """Return the numbers of an installed distribution's version; none where it is not installed."""
        numbers = re.search(r"-(\d+(?:\.\d+)*)[^/]*$", dict(self._metadata).get(distribution, ""))
        return tuple(map(int, numbers[1].split("."))) if numbers else ()

    def entry_points(self, group: str) -> tuple[EntryPoint, ...]:
        """Return the entry points of a group."""
        header = f"[{group}]".encode()
        points: list[EntryPoint] = []
        for distribution, directory in self._metadata:
            try:
                with open(f"{directory}/entry_points.txt", "rb") as stream:
                    raw = stream.read(1 << 20)
            except OSError:
                continue
            if header in raw:
                points += _points(distribution, group, raw.decode(errors="replace"))
        return tuple(points)


def entry_point(distribution: str, name: str, value: str) -> EntryPoint:
    """Return an entry point from its text, `module:attribute [extra]`."""
    return EntryPoint(distribution, name.strip(), re.split(r"[:\[]", value)[0].strip())


def normalised(name: str) -> str:
    """Return a distribution's name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _points(distribution: str, group: str, text: str) -> Iterator[EntryPoint]:
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield entry_point(distribution, name, value)


def _own() -> list[Path]:
    """Return the directories on the running Python's path, the standard library left out."""
    standard = os.path.dirname(os.__file__)
    return [
        Path(path) for path in sys.path if os.path.isdir(path) and path not in {standard, f"{standard}/lib-dynload"}
    ]


def _with_pytest(prefix: Path) -> list[Path]:
    """Return the `site-packages` below an environment's directory, none if pytest is not in them."""
    sites = _sites(prefix)
    return sites if any((site / "_pytest").is_dir() for site in sites) else []


def _sites(prefix: Path) -> list[Path]:
    """Return the `site-packages` of an environment; with the base's where it includes them."""
    sites = [site for pattern in _SITES for site in sorted(prefix.glob(pattern)) if site.is_dir()]
    config = dict(line.replace(" ", "").split("=", 1) for line in _lines(prefix / "pyvenv.cfg") if "=" in line)
    if config.get("include-system-site-packages", "").lower() == "true" and "home" in config:
        sites += _sites(Path(config["home"]).parent)
    return list({site.resolve(): site for site in reversed(sites)}.values())[::-1]  # lib64 is a link to lib


def _mapping(finder: Path) -> dict[str, str]:
    """Read the packages out of the finder that setuptools writes for an editable install."""
    for line in _lines(finder):
        if (match := re.match(r"MAPPING\b[^=]*=\s*(\{.*\})\s*$", line)) is not None:
            try:
                mapping = ast.literal_eval(match[1])
            except (ValueError, SyntaxError):
                return {}
            pairs = ((str(name), Path(str(path))) for name, path in mapping.items())
            return {name: str(path.parent) for name, path in pairs if path.name.removesuffix(".py") == name}
    return {}


def _lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            text = stream.read(1 << 20).decode(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]
