"""What an audit costs: against one process that does nothing but `ast.parse` on the same files.

The tree is that of `ENVMATRIX_BENCH_TREE` (say, the installed pandas), or a generated one of 6,000 test files. With a cache,
one file changes between two looks.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rows import Row, in_turns, seconds

_FILES, _TESTS_EACH = 6_000, 8
_ROUNDS = 3

_PARSE = """
import ast, sys
for line in sys.stdin:
    ast.parse(open(line.rstrip(), "rb").read())
"""

_MODULE = '''"""Tests of part {number}."""

import os
from pathlib import Path

import pytest

from package.helpers import check

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(params=[1, 2])
def local(request, shared):
    """What the tests here share."""
    return {{"value": request.param, "shared": shared}}


class TestPart:
    """Methods, with fixtures of all places."""

{methods}

{functions}
'''
_METHOD = """
    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_method_{number}(self, size, local, near, tmp_path):
        target = tmp_path / "file-{number}.txt"
        target.write_text("x" * size)
        found = [line for line in target.read_text().splitlines() if line]
        assert len(found) == 1, f"{{found}} in {{target}}"
        with pytest.raises(KeyError):
            dict(a=local)["b"]
        assert check(found[0], size=size) == {number} or near is not None
"""
_FUNCTION = """
def test_function_{number}(shared, near, monkeypatch):
    monkeypatch.setenv("PART", "{number}")
    total = sum(index * {number} for index in range(10))
    assert os.environ["PART"] == "{number}"
    assert total == {number} * 45 and Path(shared).name
"""


def measure() -> Iterator[Row]:
    """Audit a large tree cold, then with a cache of which one file is out of date."""
    with TemporaryDirectory(prefix="envmatrix-bench-") as directory:
        named = os.environ.get("ENVMATRIX_BENCH_TREE")
        root = Path(named) if named else _tree(Path(directory))
        cache = Path(directory, "cache")
        files = "".join(f"{file}\n" for file in sorted(root.rglob("*.py")) if _is_test(file.name))
        some = next(file for file in sorted(root.rglob("test_*.py")))

        def changed() -> None:
            if not named:
                some.write_text(some.read_text() + "\n")
            _audit(root, cache)

        _audit(root, cache)
        medians = in_turns(
            _ROUNDS,
            {
                "parse": lambda: seconds(lambda: _run([sys.executable, "-c", _PARSE], files)),
                "cold": lambda: seconds(lambda: _audit(root, None)),
                "warm": lambda: seconds(changed),
            },
        )
        count = files.count("\n")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        what, peer = f"audit of {count} files", "ast.parse of them, one process"
        yield Row(f"{what}, cold", medians["cold"], peer, medians["parse"], goal="at most 1.0 x", samples=_ROUNDS)
        yield Row(
            f"{what}, one changed", medians["warm"], peer, medians["parse"], goal="at most 0.1 x", samples=_ROUNDS
        )
        size = sum(file.stat().st_size for file in map(Path, files.split("\n")[:-1])) / (1 << 20)
        yield Row(f"{what}, memory", peak, "their bytes", size, "MB", "flat", _ROUNDS)


def _audit(root: Path, cache: Path | None) -> None:
    code = (
        "import sys, gc; gc.disable()\n"
        "from pathlib import Path\n"
        "from contextlib import nullcontext\n"
        "from envmatrix.analysis.audit.audit import audit\n"
        "from envmatrix.analysis.audit.baseline import AuditBaseline\n"
        "from envmatrix.analysis.audit.selection import RuleSelection\n"
        "from envmatrix.analysis.index.build import CONTRACTS, index_of\n"
        "from envmatrix.analysis.source.cache import Cache\n"
        "from envmatrix.analysis.source.facts import Wanted\n"
        "from envmatrix.analysis.source.load import load_changes, load_modules\n"
        "root, cache = Path(sys.argv[1]), sys.argv[2]\n"
        "with Cache(Path(cache), sorted(CONTRACTS)) if cache else nullcontext() as open_:\n"
        "    def read(files):\n"
        "        found = load_modules(map(str, files), wanted=Wanted(CONTRACTS), cache=open_)\n"
        "        return {Path(path): module for path, module in found.items()}\n"
        "    def changes(files):\n"
        "        return load_changes(files, wanted=Wanted(CONTRACTS), cache=open_)\n"
        "    audit(index_of(root, load_modules=read, load_changes=changes), RuleSelection(), AuditBaseline.empty(), cache=open_)\n"
    )
    _run([sys.executable, "-c", code, str(root), str(cache or "")], "")


def _run(command: Iterable[str], text: str) -> None:
    command = list(command)
    subprocess.run(command, input=text, text=True, check=True, timeout=600, stdout=subprocess.DEVNULL)  # noqa: S603 -- ours


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"


def _tree(root: Path) -> Path:
    """Generate a tree: directories of a hundred files, a conftest in each, a package that all of them import."""
    (root / "package").mkdir()
    (root / "package/helpers.py").write_text("def check(text, *, size):\n    return len(text) * size\n")
    (root / "package/__init__.py").touch()
    (root / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    fixture = '@pytest.fixture\ndef {name}():\n    """Shared."""\n    return "{name}"\n'
    top = "\n\n".join(fixture.format(name=name) for name in ("shared", "near", "clean"))
    (root / "conftest.py").write_text(f"import pytest\n\n\n{top}")
    for number in range(_FILES):
        directory = root / f"part_{number // 100:03}"
        if not directory.exists():
            directory.mkdir()
            (directory / "conftest.py").write_text(f"import pytest\n\n\n{fixture.format(name='near')}")
        half = _TESTS_EACH // 2
        methods = "".join(_METHOD.format(number=index) for index in range(half))
        functions = "\n".join(_FUNCTION.format(number=index) for index in range(half))
        text = _MODULE.format(number=number, methods=methods, functions=functions)
        (directory / f"test_part_{number:04}.py").write_text(text)
    return root
