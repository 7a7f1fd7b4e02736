"""`envmatrix matrix --watch`, as a user types it: files change for real, and rounds follow."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from envmatrix.__main__ import main
from envmatrix.exceptions import UsageError
from envmatrix.runs.file import read_run
from tests.framework.bare import COMMAND, Bare, make_bare, plain_environment
from tests.framework.services.place import eventually

DEADLINE = 60.0
WAITING = "Waiting for a file to change; Ctrl-C ends\n"


class Watch:
    """A running command on a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal

    def until(self, text: str) -> str:
        """Return what it shows, up to a text."""
        seen, end = "", time.monotonic() + DEADLINE
        while text not in seen:
            assert time.monotonic() < end, seen
            if select.select([self._terminal], [], [], 0.1)[0]:
                seen = (seen + os.read(self._terminal, 65536).decode()).replace("\r\n", "\n")
        return seen

    def press_ctrl_c(self) -> tuple[int, float]:
        """Return the exit code, and the seconds that it took to end."""
        pressed = time.monotonic()
        os.write(self._terminal, b"\x03")
        return self.process.wait(DEADLINE), time.monotonic() - pressed


@contextmanager
def watching(bare: Bare, *options: str) -> Iterator[Watch]:
    """Start a watch, and end it with everything that it started."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "matrix", "--watch", "--quiet", *options],
        cwd=bare.root,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=plain_environment() | {"TERM": "dumb", "COLUMNS": "160", "LINES": "50", "NO_COLOR": "1"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  one call, so that Ctrl-C reaches it
    )
    os.close(theirs)
    try:
        yield Watch(process, ours)
    finally:
        process.kill()
        process.wait(DEADLINE)
        os.close(ours)


@pytest.fixture
def shop(tmp_path: Path) -> Bare:
    """A checkout with a module, its test, and a test of nothing."""
    bare = make_bare(tmp_path)
    with (tmp_path / "pyproject.toml").open("a") as settings:
        settings.write('pythonpath = ["."]\n')
    bare.write("cart.py", "def price(): return 3\n")
    bare.write("suite/test_cart.py", "from cart import price\n\ndef test_price(): assert price() == 3\n")
    bare.write(".gitignore", "__pycache__/\n.pytest_cache/\n*.log\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, timeout=30)
    return bare


def ran_now(bare: Bare) -> set[str]:
    """The tests that the last round ran itself."""
    run = read_run(bare.last / "local.jsonl")
    return {test for test, cell in run.cells.items() if not cell.reused_from}


def test_a_round_follows_each_change(shop: Bare) -> None:
    """It runs what the change leads to and what failed, and says first what is different now."""
    with watching(shop, "local") as watch:
        first = watch.until(WAITING)
        assert "local  compatible  ✓ 2" in first
        assert ran_now(shop) == {"suite/test_a.py::test_a", "suite/test_cart.py::test_price"}

        shop.write("cart.py", "def price(): return 4\n")
        second = watch.until(WAITING)
        assert second.startswith(
            "cart.py changed\nregressed  suite/test_cart.py::test_price  local: passed, now failed, logic"
        )
        assert second.index("regressed") < second.index("envmatrix  ")
        assert ran_now(shop) == {"suite/test_cart.py::test_price"}

        shop.write("some.log", "ignored by git")
        shop.write("suite/test_a.py", "def test_a(): pass\n")  # as it was
        shop.write("README.md", "words")
        assert watch.until("no test\n") == "README.md changed, which leads to no test\n"

        shop.write("environments/local.toml", "[services")
        assert "error: " in watch.until("local.toml")
        shop.declare("local")

        shop.write("suite/test_a.py", "def test_a(): pass\n\ndef test_new(): pass\n")
        third = watch.until(WAITING)
        assert "suite/test_a.py changed\nnew  suite/test_a.py::test_new  local\n" in third
        assert ran_now(shop) == {"suite/test_a.py::test_new", "suite/test_cart.py::test_price"}

        shop.write("cart.py", "def price(): return 3\n")
        assert "fixed  suite/test_cart.py::test_price  local: failed, now passed\n" in watch.until(WAITING)
        code, seconds = watch.press_ctrl_c()
    assert code == 0
    assert seconds < 5


def test_a_change_during_a_round_starts_the_next_one(shop: Bare) -> None:
    """Also one that makes the suite impossible to load; the round after that runs all of it."""
    shop.write(
        "suite/test_cart.py",
        """
        import pathlib
        import cart

        def test_price():
            if cart.price() == 3:
                pathlib.Path("cart.py").write_text("import nothing_of_the_kind\\ndef price(): return 5\\n")
        """,
    )
    with watching(shop, "local") as watch:
        watch.until(WAITING)
        second = watch.until(WAITING)
        assert "cart.py changed" in second
        assert "local  suite/test_cart.py could not be collected" in second
        shop.write("cart.py", "def price(): return 5\n")
        assert "local  compatible  ✓" in watch.until(WAITING)


def test_ctrl_c_ends_a_round_and_the_watch(shop: Bare) -> None:
    """Within seconds, whatever a test does; nothing is left, and nothing is known: exit 3."""
    shop.write(
        "suite/test_a.py",
        """
        import os, pathlib, time

        def test_a():
            pathlib.Path("pid.log").write_text(f"{os.getpid()}\\n")
            time.sleep(600)
        """,
    )
    pid = shop.root / "pid.log"
    with watching(shop, "local") as watch:
        assert eventually(lambda: pid.exists() and pid.read_text().endswith("\n"), DEADLINE)
        code, seconds = watch.press_ctrl_c()
        assert code == 3
        assert seconds < 10
        assert not psutil.pid_exists(int(pid.read_text()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--shard", "1/2"), "--watch and --shard exclude each other"),
        (("--json",), "--watch shows no json"),
        ((), "is no git checkout with files in it"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    bare: Bare,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    message: str,
) -> None:
    """In one line, before anything is run."""
    monkeypatch.chdir(bare.root)
    with pytest.raises(SystemExit) as ended:
        main(("matrix", "--watch", *options))
    assert ended.value.code == UsageError.exit_code
    assert message in capsys.readouterr().err
    assert not (bare.root / ".envmatrix").exists()
