"""Our index against pytest itself, on trees that hypothesis makes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from test_framework.analysis.build import index_of
from tests.framework.analysis.generated import Files, trees
from tests.framework.analysis.trees import read_once
from tests.oracle.compare import Account, Comparison, Verdict, compare
from tests.oracle.plugin.fixture_oracle import Oracle

TREES = int(os.environ.get("ENVMATRIX_TREES", "30"))
AGREED = {Verdict.AGREE, Verdict.UNKNOWN, Verdict.UNHEARD}


@pytest.mark.xfail(
    reason="marks of outer classes, hooks that supply what usefixtures asks for, aliases bound again", strict=False
)
@given(files=trees())
@settings(
    max_examples=TREES,
    deadline=None,
    derandomize=TREES == 30,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_any_tree_is_seen_as_pytest_sees_it(files: Files) -> None:
    """Every test that pytest collects is known, and each of its requests is answered by the same fixture, or nobody."""
    with TemporaryDirectory(prefix="tree-") as directory:
        found = compared(Path(directory).resolve(), files)
    assert not [str(each) for each in found.differences if each.verdict not in AGREED]
    assert not found.only_pytest
    assert not found.only_ours


def compared(root: Path, files: Files) -> Comparison:
    """Write a tree, have pytest collect it in this process, and compare."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    record = root / "record.jsonl"
    with _untouched(), redirect_stdout(StringIO()) as said, redirect_stderr(said):
        # No bytecode: a file of the same size written in the same second would be taken for the one before.
        sys.dont_write_bytecode = True
        pytest.main(
            ["--collect-only", "-qq", f"--rootdir={root}", f"-c{root}/pytest.ini", "-pno:cacheprovider", "-pno:warnings",
             "-pno:faulthandler", "-pno:capture", "-pno:logging", "--continue-on-collection-errors", "--assert=plain", str(root)],
            plugins=[_Plugin(record)],
        )  # fmt: skip
    if not record.exists():
        raise AssertionError(said.getvalue())
    return compare(Account.read(record), index_of(root, read_all=read_once))


class _Plugin:
    def __init__(self, record: Path) -> None:
        self.record = record

    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(Oracle(config, self.record), "oracle")


@contextmanager
def _untouched() -> Iterator[None]:
    """Give this process back the modules and the places to import from that it had."""
    modules, path, hooks, bytecode = dict(sys.modules), [*sys.path], [*sys.meta_path], sys.dont_write_bytecode
    try:
        yield
    finally:
        sys.modules.clear()
        sys.modules.update(modules)
        sys.path[:], sys.meta_path[:], sys.dont_write_bytecode = path, hooks, bytecode
