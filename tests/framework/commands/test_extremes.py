"""Trees and files that no person writes, and generators do: the commands end, with a result or one line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from envmatrix.__main__ import main
from tests.framework.bare import BARE_TOML, Bare


def nested(top: Path, depth: int) -> int:
    """Make directories inside of each other, deeper than one path may name; return a descriptor of the last."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        above, here = here, os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(above)
    return here


@pytest.mark.timeout(120)
def test_a_huge_tree_is_audited_whole(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """1,500 chained fixtures, 1,000 nested directories, 200,000 statements, a link to the root: slow, since that is the size.

    A link is another name of what it leads to, and nothing of the suite.
    """
    monkeypatch.chdir(bare.root)
    chain = [f"@pytest.fixture\ndef f{n}(f{n - 1}): return f{n - 1}\n" for n in range(1, 1_500)]
    first = "import pytest\n@pytest.fixture\ndef f0(): return 0\n"
    bare.write("suite/test_chain.py", f"{first}{''.join(chain)}def test_chain(f1499): assert f1499\n")
    bare.write("suite/test_long.py", "".join(f"x{n} = {n}\n" for n in range(200_000)) + "def test_long(): assert x1\n")
    deepest = nested(bare.root / "suite", 1_000)
    with os.fdopen(os.open("test_deep.py", os.O_WRONLY | os.O_CREAT, dir_fd=deepest), "w") as file:
        file.write("def test_deep(missing): assert missing\n")
    os.close(deepest)
    (bare.root / "suite/root").symlink_to("/")
    try:
        with pytest.raises(SystemExit) as ended:
            main(["audit", "--no-cache"])
    finally:  # Python's own removal of a tree gives up on one this deep
        subprocess.run(["rm", "-rf", "suite/d"], check=True, timeout=60)
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert out.rstrip().endswith("in 4 tests of 4 files.")
    assert "EM101" in out


@pytest.mark.parametrize("table", ["[a{}]", "[[canary.http]] # {}"])
def test_a_declaration_of_tables_alone_is_refused(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], table: str
) -> None:
    """As many as a declaration's size allows: nothing is mended, since nothing can be read; one line says why."""
    monkeypatch.chdir(bare.root)
    tables = "\n".join(table.format(number) for number in range(1_000_000 // (len(table) + 6)))
    bare.write("environments/local.toml", f"{BARE_TOML}{tables}\n")
    with pytest.raises(SystemExit) as ended:
        main(["validate", "local", "--fix"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
