"""A small repository whose runs are remembered, for what asks about them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec import structs

from envmatrix.__main__ import main
from envmatrix.history import DEFAULT, remember
from envmatrix.runs.cells import Run
from envmatrix.runs.events import Attempt, Bodies, Evidence
from envmatrix.runs.file import RunWriter, read_run
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.bare import Bare
from tests.framework.run_files import footer, header

WRONG = Evidence("L401", "AssertionError: assert 4 == 3", "call", "test_shop.py:5")


@dataclass
class Shop:
    """A repository with commits, and runs of them."""

    bare: Bare
    capture: pytest.CaptureFixture[str]
    runs: int = 0

    @property
    def root(self) -> Path:
        """The project's directory."""
        return self.bare.root

    @property
    def history(self) -> Path:
        """Where runs are remembered unless somebody says otherwise."""
        return self.root / DEFAULT

    def git(self, *words: str) -> str:
        """Call git."""
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        return subprocess.run(
            ["git", *identity, *words], cwd=self.root, capture_output=True, text=True, timeout=30, check=True
        ).stdout.strip()

    def commit(self) -> str:
        """Commit something; return the commit."""
        self.git("commit", "--allow-empty", "-qm", "change")
        return self.git("rev-parse", "HEAD")

    def ran(
        self, *outcomes: str, commit: str, duration: float = 1.0, environment: str = "local", **measured: float
    ) -> Run:
        """Remember a run of tests, `name=outcome`, a minute after the one before; each name's body is its first letter.

        Every test records the same numbers.
        """
        self.runs += 1
        tests = dict(each.split("=") for each in outcomes)
        path = self.root / f"run-{self.runs}.jsonl"
        writer = RunWriter(path)
        about = header(environment, planned=tests, commit=commit, run_id=path.stem)
        writer.write(structs.replace(about, started_at=f"2026-01-02T03:{self.runs:02}:00.000+00:00"))
        writer.write(Bodies(digests=tuple(name[0] for name in tests)))
        for name, outcome in tests.items():
            failed = outcome == "failed"
            cause, evidence = (Cause.LOGIC, WRONG) if failed else (None, None)
            writer.write(Attempt(name, Outcome(outcome), duration, cause=cause, evidence=evidence, measured=measured))
        writer.write(footer())
        writer.close()
        run = read_run(path)
        assert remember(self.history, [run]) == ""
        return run

    def call(self, *words: str) -> tuple[int, str, str]:
        """Call the command line in this process; return its exit code and what it said on both streams."""
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert isinstance(ended.value.code, int)
        said = self.capture.readouterr()
        return ended.value.code, said.out, said.err


@pytest.fixture
def shop(bare: Bare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    """The project, as a repository without a commit yet."""
    monkeypatch.chdir(bare.root)
    made = Shop(bare, capsys)
    made.git("init", "-q", "-b", "main")
    return made
