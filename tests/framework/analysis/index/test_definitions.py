"""Where a tree defines fixtures, by reading alone."""

from pathlib import Path

import pytest

from envmatrix.analysis.index.definitions import find_definitions

SOURCE = """
import pytest, pytest_asyncio
from pytest import fixture
raise SystemExit("imported!")

@pytest.fixture
def plain(): ...
@fixture()
def bare(): ...
@pytest_asyncio.fixture(scope="module")
async def asynchronous(): ...
@pytest.fixture(name="renamed")
def other(): ...
class TestA:
    @pytest.fixture
    def method(self): ...
def no_fixture(): ...
"""


@pytest.mark.fault("malicious-conftest")
def test_every_form_of_definition_is_found_and_nothing_is_run(tmp_path: Path) -> None:
    """Decorators in all their forms are read; a module that would end the process when imported does no harm."""
    (tmp_path / "conftest.py").write_text(SOURCE)
    found = {provider.name for provider in find_definitions(tmp_path)}
    assert found == {"plain", "bare", "asynchronous", "renamed", "method"}


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """Broken syntax, binary content and dangling links end in no error."""
    (tmp_path / "a.py").write_text("def fixture(:")
    (tmp_path / "b.py").write_bytes(b"fixture \x00\xff")
    (tmp_path / "c.py").symlink_to(tmp_path / "nowhere.py")
    assert list(find_definitions(tmp_path)) == []
