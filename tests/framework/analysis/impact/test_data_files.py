"""Which file concerns everything, which nothing, and who names the others."""

from __future__ import annotations

import pytest

from envmatrix.analysis.impact.data_files import concerns_everything, concerns_nothing, is_cache, mentions


@pytest.mark.parametrize(
    "path",
    ["pyproject.toml", "sub/pytest.ini", "uv.lock", "requirements-dev.txt", ".github/workflows/ci.yml", "noxfile.py"],
)
def test_what_configures_a_run_concerns_everything(path: str) -> None:
    """Pytest's settings, what is installed, and how CI runs it."""
    assert concerns_everything(path)
    assert not concerns_nothing(path)


@pytest.mark.parametrize("path", ["README.md", "docs/a/b.svg", "LICENSE", ".gitignore", "envmatrix-baseline.json"])
def test_documentation_concerns_nothing(path: str) -> None:
    """Unless a test names it."""
    assert concerns_nothing(path)
    assert not concerns_everything(path)


@pytest.mark.parametrize("path", ["data/orders.json", "src/schema.sql", "docs/conf.py"])
def test_other_files_are_to_be_found_out(path: str) -> None:
    """Data, and code wherever it stands."""
    assert not concerns_everything(path)
    assert not concerns_nothing(path)


def test_a_file_is_named_by_its_name() -> None:
    """In quotes, alone or at the end of a path, with the line that it is on."""
    sources = [("tests/a.py", b'x = 1\nopen("data/orders.json")\n'), ("b.py", b"orders.json = 'borders.json'\n")]
    found = mentions(["tests/data/orders.json"], sources)
    assert [(naming.path, naming.line) for naming in found] == [("tests/a.py", 2)]


def test_a_directory_names_what_is_in_it_for_those_beside_it() -> None:
    """`Path(__file__).parent / "data"` is that data; the same word elsewhere is another's."""
    source = b'DATA = Path(__file__).parent / "data"\n'
    sources = [("tests/unit/test_a.py", source), ("tools/x.py", source)]
    assert [naming.path for naming in mentions(["tests/unit/data/deep/a.json"], sources)] == ["tests/unit/test_a.py"]
    assert [naming.path for naming in mentions(["data/a.json"], sources)] == ["tests/unit/test_a.py", "tools/x.py"]


def test_what_nobody_names_is_found_nowhere() -> None:
    """Then it could be anybody's."""
    assert mentions(["a/b.bin"], [("t.py", b'"ab.bin"')]) == []


def test_caches_are_no_change() -> None:
    """Whether git ignores them or not."""
    assert is_cache("suite/__pycache__/test_a.pyc")
    assert not is_cache("suite/test_cache.py")
