"""What tells a test that was left out from one that is gone: its source, which is read and never run."""

from pathlib import Path

import pytest

from envmatrix.gate.source import defined_below

TESTS = """
raise SystemExit("nobody imports me")

def test_plain(): ...
async def test_async(): ...
class TestShop:
    class TestCart:
        def test_inner(self): ...
"""


@pytest.mark.parametrize(
    ("test", "there"),
    [
        ("tests/test_a.py::test_plain", True),
        ("tests/test_a.py::test_plain[a::b]", True),
        ("tests/test_a.py::test_async", True),
        ("tests/test_a.py::TestShop::TestCart::test_inner", True),
        ("tests/test_a.py::TestShop::test_inner", False),
        ("tests/test_a.py::test_gone", False),
        ("tests/test_b.py::test_plain", False),
        ("tests/test_bad.py::test_plain", False),
        ("tests::test_plain", False),
        ("tests/test_a.py", False),
    ],
)
def test_a_function_stands_in_its_file_and_class(tmp_path: Path, test: str, there: bool) -> None:
    """Whatever its parameters are; of a file that is gone or cannot be read nobody can say."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text(TESTS)
    (tmp_path / "tests/test_bad.py").write_text("def test_plain(:")
    assert defined_below(tmp_path)(test) is there
