"""The suites: public packages whose source distributions bring their tests, unpacked beside an environment that has them."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

SUITES = {
    "attrs": "tests",
    "idna": "tests",
    "iniconfig": "testing",
    "itsdangerous": "tests",
    "more-itertools": "tests",
    "pluggy": "testing",
}
"""Distribution, and the directory of its tests."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite, unpacked."""

    title: str
    """Name and version."""
    root: Path
    tests: str


def unpacked(archives: Path, into: Path) -> list[Suite]:
    """Unpack the source distributions of a directory; return their suites, by name."""
    suites = []
    for archive in sorted(archives.glob("*.tar.gz")):
        name, _, version = archive.name.removesuffix(".tar.gz").rpartition("-")
        with tarfile.open(archive) as tar:
            tar.extractall(into, filter="data")
        tests = SUITES[name.replace("_", "-")]
        suites.append(Suite(f"{name} {version}", into / f"{name}-{version}", tests))
    return suites
