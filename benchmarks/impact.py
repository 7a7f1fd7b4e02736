"""What an impact costs: against git's own `diff --name-only` and one process that parses the same files.

The tree is generated: a package of modules that use one another, and tests that use them. One file differs from the last
commit: a test, or a module at the end of a chain, with the facts of all the others in the cache.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rows import Row, in_turns, seconds

_MODULES, _TESTS = 300, 1_200
_ROUNDS = 3
_FLOOR = """
import ast, subprocess, sys
subprocess.run(["git", "diff", "--name-only", "HEAD"], check=True, capture_output=True)
for line in sys.stdin:
    ast.parse(open(line.rstrip(), "rb").read())
"""
_MODULE = '''"""Part {number}."""

from dataclasses import dataclass

{imports}

LIMIT = {number}


@dataclass
class Item{number}:
    name: str
    size: int = LIMIT

    def total(self, factor):
        return sum(self.size * factor for _ in range(LIMIT))


def make{number}(name, size=None):
    """Make one."""
    item = Item{number}(name, size or LIMIT)
    if item.total(2) < 0:
        raise ValueError(f"{{item}} is too small")
    return [item, {uses}]


def describe{number}(items):
    return ", ".join(f"{{each.name}}: {{each.size}}" for each in sorted(items, key=lambda each: each.name))
'''
_TEST = '''"""Tests of part {number}."""

import pytest

from package.m{number} import describe{number}, make{number}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_sizes(size, shared):
    assert make{number}("a", size)[0].size == size


class TestNames:
    def test_one(self, shared):
        assert describe{number}(make{number}("a")[:1]).startswith("a")

    def test_more(self, tmp_path):
        (tmp_path / "x").write_text("x")
        assert len(list(tmp_path.iterdir())) == 1
'''


def measure() -> Iterator[Row]:
    """Ask for the impact of a test, and of a module that many others stand on."""
    with TemporaryDirectory(prefix="envmatrix-bench-") as directory:
        root = Path(directory)
        _tree(root)
        files = "".join(f"{path}\n" for path in sorted(root.rglob("*.py")))

        def changed(path: str, edit: tuple[str, str]) -> float:
            file = root / path
            before = file.read_text()
            file.write_text(before.replace(*edit))
            try:
                return seconds(lambda: _run(root, "-m", "envmatrix", "impact", "--since", "HEAD"))
            finally:
                file.write_text(before)

        test = "tests/part_00/test_m0001_0.py", ("== 1", "== 2")
        module = "package/m000.py", ("item.total(2)", "item.total(3)")
        changed(*test)
        medians = in_turns(
            _ROUNDS,
            {
                "floor": lambda: seconds(lambda: _run(root, "-c", _FLOOR, given=files)),
                "test": lambda: changed(*test),
                "module": lambda: changed(*module),
            },
        )
        what = f"impact in {files.count(chr(10))} files"
        peer = "git diff, ast.parse of them all"
        yield Row(
            f"{what}, a test differs", medians["test"], peer, medians["floor"], goal="at most 3.0 x", samples=_ROUNDS
        )
        yield Row(f"{what}, a module", medians["module"], peer, medians["floor"], goal="at most 3.0 x", samples=_ROUNDS)


def _run(root: Path, *words: str, given: str = "") -> None:
    command = [sys.executable, *words]
    subprocess.run(  # noqa: S603 -- ours
        command, input=given, text=True, check=True, timeout=600, stdout=subprocess.DEVNULL, cwd=root
    )


def _tree(root: Path) -> None:
    """Generate the files, and commit them: of ten modules in a row, each uses the one before it."""
    (root / "package").mkdir()
    (root / "package/__init__.py").touch()
    (root / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\ntestpaths = ["tests"]\n')
    for number in range(_MODULES):
        before = f"{number - 1:03}"
        is_first = number % 10 == 0
        imports = "" if is_first else f"from package.m{before} import make{before}"
        text = _MODULE.format(number=f"{number:03}", imports=imports, uses="" if is_first else f"*make{before}('b')")
        (root / f"package/m{number:03}.py").write_text(text.replace(f"LIMIT = {number:03}", f"LIMIT = {number}"))
    (root / "tests").mkdir()
    fixture = 'import pytest\n\n\n@pytest.fixture\ndef shared():\n    """Shared."""\n    return 1\n'
    (root / "tests/conftest.py").write_text(fixture)
    for number in range(_TESTS):
        part = number % _MODULES
        directory = root / f"tests/part_{number // 100:02}"
        directory.mkdir(exist_ok=True)
        name = f"test_m{number:04}_{number // _MODULES}.py"
        (directory / name).write_text(_TEST.format(number=f"{part:03}"))
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], cwd=root, check=True, capture_output=True, timeout=120)  # noqa: S603 -- ours
