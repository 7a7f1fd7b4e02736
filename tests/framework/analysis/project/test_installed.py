"""What is installed, by looking at directories."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from envmatrix.analysis.project.installed import EntryPoint, Site
from envmatrix.exceptions import UsageError


def _site(prefix: Path, *packages: str) -> Path:
    site = prefix / "lib/python3.12/site-packages"
    for package in packages:
        (site / package).mkdir(parents=True)
    return site


def test_the_running_environment_is_read_as_python_itself_reads_it(tmp_path: Path) -> None:
    """Distributions and plugins of the environment that we run in are those of `importlib.metadata`."""
    site = Site.of(tmp_path)
    points = {(point.name, point.module) for point in site.entry_points("pytest11")}
    assert points == {(point.name, point.module) for point in importlib.metadata.entry_points(group="pytest11")}
    assert {"pytest", "pytest-timeout"} <= site.distributions


def test_the_environment_in_the_tree_is_preferred_if_its_tests_can_run_there(tmp_path: Path) -> None:
    """A `.venv` in the root counts once pytest is installed in it."""
    site = _site(tmp_path / ".venv", "something")
    assert str(site) not in Site.of(tmp_path).directories
    (site / "_pytest").mkdir()
    assert Site.of(tmp_path).directories == (str(site),)


def test_an_interpreter_leads_to_its_packages(tmp_path: Path) -> None:
    """Its path is enough, or that of its environment; one without pytest is a usage error."""
    site = _site(tmp_path / "e", "_pytest")
    python = tmp_path / "e/bin/python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    assert Site.of(tmp_path, python).directories == (str(site),)
    assert Site.of(tmp_path, tmp_path / "e").directories == (str(site),)
    with pytest.raises(UsageError, match="no environment with pytest in it belongs to"):
        Site.of(tmp_path, tmp_path / "nowhere/bin/python")


def test_an_environment_that_sees_the_systems_packages_has_them_after_its_own(tmp_path: Path) -> None:
    """`include-system-site-packages` is followed to the base's directory."""
    own, base = _site(tmp_path / "e", "x"), _site(tmp_path / "base", "_pytest")
    (tmp_path / "e/pyvenv.cfg").write_text(f"home = {tmp_path}/base/bin\ninclude-system-site-packages = true\n")
    assert Site.of(tmp_path, tmp_path / "e").directories == (str(own), str(base))


def test_pth_files_and_finders_lead_to_editable_installs(tmp_path: Path) -> None:
    """Directories of `.pth` files are searched; the mapping of setuptools' finder is read; no line is executed."""
    site = _site(tmp_path, "x")
    (tmp_path / "project").mkdir()
    (site / "_editable_impl_project.pth").write_text(f"{tmp_path}/project\n/nowhere\n# comment\n")
    (site / "evil.pth").write_text("import sys; raise SystemExit('executed')\n")
    (site / "__editable__.mapped-1.0.pth").write_text(
        "import __editable___mapped_1_0_finder; __editable___mapped_1_0_finder.install()"
    )
    (site / "__editable___mapped_1_0_finder.py").write_text(
        "from x import y\nMAPPING: dict[str, str] = {'mapped': '/src/mapped', 'other': '/src/renamed'}\n"
    )
    found = Site.read([site])
    assert found.directories == (str(site), str(tmp_path / "project"))
    assert found.packages == {"mapped": "/src"}


def test_entry_points_are_read_from_every_kind_of_metadata(tmp_path: Path) -> None:
    """Wheels, old eggs and extras; the first distribution of a name wins; what is no text does no harm."""
    for name, text in {
        "Some_Plugin-1.0.dist-info": b"[console_scripts]\nx = y\n[pytest11]\na = some.plugin\nb = some:Class [extra]\n",
        "old.egg-info": b"[pytest11]\n# comment\nc=old_plugin\n\n[other]\nd = e\n",
        "some.plugin-0.9.dist-info": b"[pytest11]\nz = older\n",
        "binary-1.dist-info": b"\xff\xfe[pytest11]\x00",
        "none-1.dist-info": None,
    }.items():
        (tmp_path / name).mkdir()
        if text is not None:
            (tmp_path / name / "entry_points.txt").write_bytes(text)
    site = Site.read([tmp_path])
    assert set(site.entry_points("pytest11")) == {
        EntryPoint("some-plugin", "a", "some.plugin"),
        EntryPoint("some-plugin", "b", "some"),
        EntryPoint("old", "c", "old_plugin"),
    }
    assert site.distributions == {"some-plugin", "old", "binary", "none"}
