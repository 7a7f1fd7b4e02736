"""What the stories of adoption share: a foreign project in a directory of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adoption.adopted import Adopted
from tests.framework.services.conftest import containers, podman

__all__ = ["containers", "podman"]


@pytest.fixture
def adopt(tmp_path: Path) -> Callable[[str], Adopted]:
    """Copies a foreign project, and has `envmatrix init` write its first declaration."""
    return lambda name: Adopted.from_init(Path(__file__).parent / "projects" / name, tmp_path / name)
