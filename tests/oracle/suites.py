"""The suites: public packages whose wheels or source distributions bring their tests, and the environment that has them."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

SUITES = {
    "astropy": "astropy",
    "dask": "dask",
    "joblib": "joblib",
    "matplotlib": "matplotlib",
    "networkx": "networkx",
    "numpy": "numpy",
    "pandas": "pandas",
    "scikit-learn": "sklearn",
    "scipy": "scipy",
    "statsmodels": "statsmodels",
    "sympy": "sympy",
    "trio": "trio",
    "xarray": "xarray",
}
"""Distribution, and the package that holds its tests."""
_WHERE = """
import importlib.metadata, importlib.util, json, sys
found = {}
for name, package in json.loads(sys.argv[1]).items():
    try:
        found[name] = importlib.util.find_spec(package).submodule_search_locations[0], importlib.metadata.version(name)
    except (AttributeError, importlib.metadata.PackageNotFoundError):
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite, as it is installed."""

    name: str
    version: str
    root: Path
    python: Path
    tests: str = "."
    """The directory of its tests, below the root."""


def unpacked(archives: Path, into: Path, python: Path = Path(sys.executable)) -> list[Suite]:
    """Unpack the source distributions of a directory; return their suites, by name."""
    suites = []
    for archive in sorted(archives.glob("*.tar.gz")):
        title = archive.name.removesuffix(".tar.gz")
        name, _, version = title.rpartition("-")
        with tarfile.open(archive) as tar:
            tar.extractall(into, filter="data")
        suites.append(Suite(name, version, into / title, python, "tests"))
    return suites


def installed(python: Path = Path(sys.executable)) -> list[Suite]:
    """Return the suites that an interpreter has, by name."""
    done = subprocess.run(
        [python, "-I", "-c", _WHERE, json.dumps(SUITES)], capture_output=True, text=True, timeout=60, check=True
    )
    return [
        Suite(name, version, Path(root), python) for name, (root, version) in sorted(json.loads(done.stdout).items())
    ]
