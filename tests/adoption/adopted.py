"""A foreign project that is adopted: by `envmatrix init`, and a few lines of TOML on top."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Self

from envmatrix.runs.cells import Run
from envmatrix.runs.directory import RunDir
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.bare import Bare


class Adopted(Bare):
    """A copy of a foreign project, committed to a repository of its own."""

    hand_written = 0
    """Lines of TOML that were written by hand."""

    @classmethod
    def from_init(cls, origin: Path, root: Path) -> Self:
        """Copy a project, and have its first declaration written."""
        shutil.copytree(origin, root)
        adopted = cls(root)
        adopted.git("init", "-q")
        adopted.commit()
        adopted.git("tag", "foreign")
        adopted.answers(0, "init")
        return adopted

    def by_hand(self, name: str, toml: str) -> None:
        """Write lines of a declaration: in the tables that it has already, in place of the keys that these have there."""
        path = self.root / "environments" / f"{name}.toml"
        lines = path.read_text().splitlines() if path.exists() else []
        place = 0
        for line in filter(None, dedent(toml).splitlines()):
            if line in lines:  # the header of a table
                place = lines.index(line) + 1
                continue
            self.hand_written += 1
            if line.startswith("["):
                lines += ["", line]
                place = len(lines)
                continue
            end = next((at for at in range(place, len(lines)) if lines[at].startswith("[")), len(lines))
            key = line.partition(" =")[0]
            lines[place:end] = [line, *(old for old in lines[place:end] if old.partition(" =")[0] != key)]
            place += 1
        path.write_text("\n".join(lines) + "\n")

    def holds(self, **tests: int) -> None:
        """Check that in each environment so many tests pass, that the gate opens, and that the declarations are true."""
        assert self.hand_written <= 10
        runs = self.matrix(0)
        assert {name: len(run.passed) for name, run in runs.items()} == tests
        assert self.failures(runs) == {}
        for name in tests:
            said = self.run("validate", name, "--json", "--", "-p", "anyio", timeout=120).stdout
            assert json.loads(said)["answer"] == "true", said
        decided = json.loads(self.answers(0, "gate", "--json"))
        assert decided["gate"] == "open"
        assert {reason["code"] for each in decided["environments"] for reason in each["reasons"]} == {"passed"}

    def breaks(self) -> dict[tuple[str, str], tuple[Outcome, Cause | None, str]]:
        """Check that the gate shuts, and return each cell that did not pass with its outcome, cause and rule."""
        runs = self.matrix(1)
        decided = json.loads(self.answers(1, "gate", "--json"))
        failures = self.failures(runs)
        answers = {each["name"]: each["answer"] for each in decided["environments"]}
        assert answers == {
            name: "incompatible" if name in {where for where, _ in failures} else "compatible" for name in runs
        }
        return failures

    def matrix(self, code: int) -> dict[str, Run]:
        """Commit, run all environments, and return their runs; the command must end with this exit code.

        The suite must be the foreign one to the letter.
        """
        self.commit()
        assert self.git("diff", "--name-only", "foreign", "--", "tests") == ""
        self.answers(code, "matrix")
        return {run.header.environment: run for run in RunDir(self.last).load().runs}

    def failures(self, runs: Mapping[str, Run]) -> dict[tuple[str, str], tuple[Outcome, Cause | None, str]]:
        """Return environment and test → outcome, cause and rule of each cell that neither passed nor was skipped."""
        return {
            (name, cell.test): (cell.outcome, cell.cause, cell.evidence.rule if cell.evidence else "")
            for name, run in runs.items()
            for cell in run.cells.values()
            if cell.outcome not in {Outcome.PASSED, Outcome.SKIPPED}
        }

    def answers(self, code: int, *words: str) -> str:
        """Run a command that must end with this exit code; return what it prints."""
        done = self.run(*words, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def commit(self) -> None:
        """Commit all that git does not ignore."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "all")

    def git(self, *words: str) -> str:
        """Call git; return what it prints."""
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
        return subprocess.run(command, cwd=self.root, capture_output=True, timeout=30, check=True, text=True).stdout
