"""A project of a test's own: declarations, the kind that only these tests define, and nothing left afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from envmatrix.services.supervisor import Owner
from tests.framework.services.place import HERE, Place, eventually, marked
from tests.framework.services.podman import Podman, podman_in, why_not


@pytest.fixture(scope="session")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed package, as far as importlib can tell, that brings the kind `banner`."""
    site = tmp_path_factory.mktemp("site")
    info = site / "banner_kind-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: banner-kind\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[envmatrix.kinds]\nbanner = banner_kind:KIND\n")
    shutil.copy(HERE / "banner_kind.py", site)
    shutil.copy(HERE / "banner_server.py", site)
    return site


@pytest.fixture
def place(plugged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """An empty project. After the test no process that was started in it may be left."""
    repository = str(HERE.parents[2])
    monkeypatch.syspath_prepend(str(plugged))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(plugged), repository]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    root = tmp_path / "project"
    (root / "environments").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\nname = 'example'\nversion = '1'\n")
    with tempfile.TemporaryDirectory(prefix="run-") as runs:  # short: a socket's path has at most 104 bytes
        yield Place(root, Path(runs))
        assert eventually(lambda: not marked(runs)), f"left behind: {marked(runs)}"
        assert list(Path(runs).iterdir()) == []


@pytest.fixture
def owner(place: Place) -> Iterator[Owner]:
    """A run of this process, closed after the test; closing leaves nothing."""
    owner = Owner(place.runs / "r")
    yield owner
    owner.close(deadline=4)


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """A container engine that only the tests of this process use."""
    if reason := why_not():
        pytest.skip(f"no containers: {reason}")
    # A short path: sockets lie below it.
    with tempfile.TemporaryDirectory(prefix="podman-") as directory, podman_in(Path(directory)) as engine:
        if reason := engine.why_not():
            pytest.skip(f"no containers: {reason}")
        yield engine


@pytest.fixture
def containers(podman: Podman, monkeypatch: pytest.MonkeyPatch) -> Iterator[Podman]:
    """The engine, which whatever the test starts finds by itself."""
    for name, value in podman.variables.items():
        monkeypatch.setenv(name, value)
    yield podman
    podman.clear()
