"""The wheel holds what it should, and a project's own top-level names stay its own where it is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.framework.bare import plain_environment
from tests.framework.docs_pages import ROOT
from tests.framework.project import TINY_SERVER, TINY_TOML

SUITE = ROOT / "test_framework/tests"
SHIPPED = ROOT / "test_framework/envmatrix/conformance"

FILES = {
    "pyproject.toml": "[tool.pytest.ini_options]\n",
    "conftest.py": "import environments, test_framework, tests\n",
    "test_framework/__init__.py": "OWNER = 'the project'\n",
    "test_framework/plugin.py": "",
    "test_framework/tests/__init__.py": "",
    "test_framework/tests/test_fixture_cross_environment_compatibility.py": "def test_the_projects_own(): pass\n",
    "environments/__init__.py": "",
    "environments/tiny.toml": TINY_TOML.partition("protected")[0],
    "server.py": TINY_SERVER.read_text(),
    "tests/__init__.py": "OWNER = 'the project'\n",
    "tests/framework.py": "",
    "tests/test_names.py": """
import environments, test_framework.plugin, tests.framework


def test_each_name_is_the_projects_own():
    assert environments.OWNER == test_framework.OWNER == tests.OWNER == "the project"
""",
}
"""A project that has all the names of our repository for itself."""


def run(program: Path, *words: str | Path, where: Path) -> str:
    """Run a program to its end in a directory, as a user would; return what it printed."""
    ended = subprocess.run(
        [program, *words], cwd=where, env=plain_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def build(kind: str, source: Path, directory: Path) -> Path:
    """Build a distribution of a source tree, offline; return its file."""
    words = ("-m", "hatchling", "build", "--target", kind, "--directory", directory)
    run(Path(sys.executable), *words, where=source)
    (built,) = directory.iterdir()
    return built


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One wheel built from the checkout, and one from the sdist. Takes seconds: hatchling is started three times."""
    scratch = tmp_path_factory.mktemp("built")
    with tarfile.open(build("sdist", ROOT, scratch / "sdist")) as archive:
        archive.extractall(scratch / "source", filter="data")
    (source,) = (scratch / "source").iterdir()
    return build("wheel", ROOT, scratch / "wheel"), build("wheel", source, scratch / "again")


@pytest.fixture(scope="module")
def python(wheels: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and, by path, what it depends on: of our editable install nothing is seen."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(site)
    # A path in a .pth file is searched for packages, but not for further .pth files, such as an editable install's.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + os.linesep)
    return home / "bin/python"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of our names; it declares one environment."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def contents(wheel: Path) -> dict[str, bytes]:
    """Return each file of a wheel with its bytes."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_every_file_of_the_conformance_suite_ships() -> None:
    """Each has a link of its name beside the package's own __init__."""
    own = {path.name for path in SUITE.glob("*.py")}
    links = {path.name for path in SHIPPED.iterdir() if path.is_symlink()}
    assert links == own
    assert all((SHIPPED / name).resolve() == SUITE / name for name in own)


def test_the_wheel_holds_the_package_alone(wheels: tuple[Path, Path]) -> None:
    """No other top-level name; the marker of types, the HTML report, the rules' pages and the suite as plain files."""
    files = contents(wheels[0])
    assert {name.partition("/")[0] for name in files} == {"envmatrix", "envmatrix-0.1.0.dist-info"}
    assert {"envmatrix/py.typed", "envmatrix/report/page/page.html"} <= files.keys()
    pages = {name.rpartition("/")[2] for name in files if "/rules/pages/" in name}
    assert pages == {page.name for page in (ROOT / "docs/rules").iterdir()}
    for path in SUITE.glob("*.py"):
        assert files[f"envmatrix/conformance/{path.name}"] == path.read_bytes()


def test_the_sdist_makes_the_same_wheel(wheels: tuple[Path, Path]) -> None:
    """Whoever builds from source gets the same files."""
    assert contents(wheels[0]) == contents(wheels[1])


@pytest.mark.fault("import-collision")
@pytest.mark.parametrize("environments", ["environments/__init__.py", "environments.py"])
def test_the_names_of_a_project_are_its_own(python: Path, project: Path, environments: str) -> None:
    """Plain pytest runs its tests, by directory and by the path that our own suite has in our repository."""
    if environments == "environments.py":
        shutil.rmtree(project / "environments")
    (project / environments).write_text("OWNER = 'the project'\n")
    assert "2 passed" in run(python, "-m", "pytest", where=project)
    own = "test_framework/tests/test_fixture_cross_environment_compatibility.py"
    assert f"{own}::test_the_projects_own PASSED" in run(python, "-m", "pytest", "-v", own, where=project)


@pytest.mark.fault("import-collision")
def test_the_suite_is_found_beside_those_names(python: Path, project: Path) -> None:
    """By its own name, the conformance suite is collected out of the wheel; `envmatrix validate` runs it."""
    words = ("pytest", "--pyargs", "envmatrix.conformance", "--collect-only", "-q", "-p", "anyio")
    listed = run(python, "-m", *words, where=project)
    for path in SUITE.glob("test_*.py"):
        assert f"{path.name}::" in listed
    validated = run(python, "-m", "envmatrix", "validate", "tiny", "--json", "--", "-p", "anyio", where=project)
    assert json.loads(validated)["conformance"] == "compatible"


def test_an_installed_audit_explains_its_rules(python: Path, tmp_path: Path) -> None:
    """`--explain` prints the page that the wheel brings."""
    page = (ROOT / "docs/rules/EM101.md").read_text()
    assert page.rstrip() in run(python, "-m", "envmatrix", "audit", "--explain", "EM101", where=tmp_path)
