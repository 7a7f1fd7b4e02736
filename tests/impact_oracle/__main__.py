"""`python -m tests.impact_oracle DIRECTORY PACKAGE`: break functions of a package, and hold impact against what happens.

DIRECTORY is an unpacked source distribution, or a checkout, that has a directory `tests`; PACKAGE is importable from it. Each
sampled function is held against coverage's contexts; some of them are broken, and the suite is run. Exits with 1 where a
test comes out otherwise, each time that it is run, and was not selected, or where fewer tests are selected than ran the function.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from coverage import CoverageData
from rich.console import Console

from envmatrix.analysis.impact import Evidence, FileChange, impact
from envmatrix.analysis.impact.project import read_project
from envmatrix.commands.impact import evidence_at, inputs_of
from envmatrix.commands.indexing import reader
from envmatrix.environments import Project
from envmatrix.git import full_commit
from envmatrix.runs.nodeid import function_of
from tests.impact_oracle.functions import Function, functions_of

CONSOLE = Console(soft_wrap=True, highlight=False)
_NAME = "local"
_TOML = '[services.redis]\nkind = "redis"\nsource = "absent"\n'
_PLUGIN = Path(__file__).parent / "plugin"
_SUITE_DEADLINE = 1800
_AGAIN = 3
"""Runs of a test that seems to be missed: it may run other code from run to run."""
_OPTIONS = ("-o", "addopts=", "-o", "asyncio_default_fixture_loop_scope=function")
"""Settings of the suite's own stay out; unset, the other one is a warning, which httpx turns into an error."""
_PLAIN = ("-q", "-p", "no:envmatrix", "-p", "no:randomly", *_OPTIONS)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one function."""

    function: Function
    covered: frozenset[str]
    """The tests that ran it, by coverage."""
    read: frozenset[str]
    """The tests that reading alone selects."""
    selected: frozenset[str]
    """The tests that reading and contexts select."""

    @property
    def too_few(self) -> frozenset[str]:
        """Return the tests that ran it and are not selected."""
        return self.covered - self.selected


def main(words: list[str]) -> int:
    """Print a row of the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.impact_oracle", description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("package")
    parser.add_argument("--functions", type=int, default=200, help="functions that are held against coverage")
    parser.add_argument("--broken", type=int, default=20, help="of these, functions that are broken")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ignore", action="append", default=[], help="a path that pytest is not to collect")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="impact-oracle-") as scratch:
        root = Path(scratch).resolve() / given.directory.resolve().name
        shutil.copytree(given.directory, root, ignore=shutil.ignore_patterns(".git", ".envmatrix"))
        runner = _Suite(root, [f"--ignore={path}" for path in given.ignore])
        runner.commit()
        runner.record()
        data = runner.coverage(given.package)
        functions = list(functions_of(root, given.package))
        random.Random(given.seed).shuffle(functions)
        answers, total = _answers(root, functions[: given.functions], data, tuple(given.ignore))
        before = runner.outcomes() if given.broken else {}
        missed = tried = changed = 0
        for answer in answers[: given.broken]:
            now = runner.outcomes_with(answer.function)
            if now is None:
                CONSOLE.print(f"{answer.function.path}:{answer.function.line}: the suite did not end")
                continue
            tried += 1
            differ = {function_of(test) for test, outcome in before.items() if now.get(test) != outcome}
            changed += len(differ)
            for test in sorted(differ - answer.selected):
                is_missed = runner.always_differs(answer.function, test, before)
                missed += is_missed
                what = "missed" if is_missed else "differs by chance"
                CONSOLE.print(f"{what}: {test} by {answer.function.path}:{answer.function.line}")
        too_few = runner.always_run(given.package, {each.function: each.too_few for each in answers})
    for function, tests in too_few.items():
        CONSOLE.print(f"too few: {function.path}:{function.line}: {sorted(tests)[:3]}")
    shares = [100 * mean(len(part) for part in parts) / total for parts in zip(*map(_parts, answers), strict=True)]
    covered, read, selected = shares
    CONSOLE.print(
        f"| {root.name} | {total:,} | {len(answers)} | {covered:.1f} % | {read:.1f} % | {selected:.1f} % | "
        f"{selected / covered:.2f} | {len(too_few)} | {tried} | {changed:,} | {missed} |"
    )
    return int(bool(missed or too_few))


def _parts(answer: Answer) -> tuple[frozenset[str], ...]:
    return answer.covered, answer.read, answer.selected


def _answers(
    root: Path, functions: list[Function], data: CoverageData, ignored: tuple[str, ...]
) -> tuple[list[Answer], int]:
    """Ask impact about each function; return the number of tests, too. The source of the project is read once."""
    with reader(root, parts=True) as read:
        tree, places = read_project(inputs_of(Project.find(root)), read)
        known = frozenset(test.nodeid for test in tree.index.tests if not test.path.startswith(ignored))
        evidence = {_NAME: evidence_at(root / ".envmatrix/runs", _NAME, full_commit(root, "HEAD"))}

        def selected(function: Function, evidence: dict[str, Evidence]) -> frozenset[str]:
            old = (root / function.path).read_bytes()
            change = FileChange(function.path, function.path, old, function.broken(old))
            return frozenset(impact([change], tree, places, evidence=evidence).selected[_NAME]) & known

        answers = [
            Answer(each, each.tests(data, root) & known, selected(each, {}), selected(each, evidence))
            for each in functions
        ]
    return answers, len(known)


class _Suite:
    """A package's suite, in a scratch repository."""

    def __init__(self, root: Path, options: list[str]) -> None:
        self._root = root
        self._options = options

    def _run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        # The package is that of the scratch directory, wherever another one is installed.
        env = {**os.environ, "PYTHONPATH": f"{self._root}{os.pathsep}{_PLUGIN}", **variables}
        return subprocess.run(
            [sys.executable, *words],
            cwd=self._root,
            env=env,
            timeout=_SUITE_DEADLINE,
            check=False,
            capture_output=True,
            text=True,
        )

    def commit(self) -> None:
        """Declare one environment without services, and commit everything."""
        (self._root / "environments").mkdir(exist_ok=True)
        (self._root / f"environments/{_NAME}.toml").write_text(_TOML)
        (self._root / ".gitignore").write_text(".envmatrix\n__pycache__\n.coverage*\n.pytest_cache\n")
        with (self._root / "pyproject.toml").open("a") as file:
            file.write('\n[tool.envmatrix]\nsuites = ["tests"]\n')
        git = ["git", "-c", "user.name=oracle", "-c", "user.email=oracle@example.com"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
            subprocess.run([*git, *words], cwd=self._root, check=True, capture_output=True, timeout=120)

    def record(self) -> None:
        """Run the suite once with contexts."""
        done = self._run("-m", "envmatrix", "run", _NAME, "--record-contexts", "--", *_OPTIONS, *self._options)
        if not list(self._root.glob(".envmatrix/runs/latest/*.contexts.json.gz")):
            raise SystemExit(f"no contexts were recorded:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def always_run(self, package: str, seen: Mapping[Function, frozenset[str]]) -> dict[Function, frozenset[str]]:
        """Return the functions with those of their tests, as seen once, that run them each time."""
        for _ in range(_AGAIN):
            seen = {function: tests for function, tests in seen.items() if tests}
            if not seen:
                break
            data = self.coverage(package, *sorted(frozenset().union(*seen.values())))
            now = {function: tests & function.tests(data, self._root) for function, tests in seen.items()}
            for function, tests in seen.items():
                for test in sorted(tests - now[function]):
                    CONSOLE.print(f"ran it by chance: {test}, {function.path}:{function.line}")
            seen = now
        return {function: tests for function, tests in seen.items() if tests}

    def coverage(self, package: str, *tests: str) -> CoverageData:
        """Run the suite, or some tests of it, once with coverage's contexts."""
        config = self._root.parent / "coverage.ini"
        config.touch()  # empty: the package's own settings stay out
        done = self._run(
            "-m",
            "pytest",
            *_PLAIN,
            f"--cov={package}",
            f"--cov-config={config}",
            "--cov-context=test",
            "--cov-report=",
            *(tests or ("tests",)),
            *self._options,
        )
        data = CoverageData(str(self._root / ".coverage"))
        data.read()
        if not data.measured_files():
            raise SystemExit(f"coverage saw nothing:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return data

    def outcomes(self, tests: str = "tests") -> dict[str, str]:
        """Run the suite, or a test of it; return what became of each test."""
        file = self._root.parent / "outcomes.json"
        file.unlink(missing_ok=True)
        words = ("-p", "impact_outcomes", "--timeout=30", tests, *self._options)
        self._run("-m", "pytest", *_PLAIN, *words, ORACLE_OUTCOMES=str(file))
        return json.loads(file.read_text()) if file.exists() else {}

    def always_differs(self, function: Function, test: str, before: Mapping[str, str]) -> bool:
        """Return whether a test never comes out as before while a function is broken."""
        runs = (self.outcomes_with(function, test) or {} for _ in range(_AGAIN))
        return all(not run or any(before.get(each) != outcome for each, outcome in run.items()) for run in runs)

    def outcomes_with(self, function: Function, tests: str = "tests") -> dict[str, str] | None:
        """Run the suite, or a test of it, with a function broken; None if it did not end."""
        file = self._root / function.path
        source = file.read_bytes()
        file.write_bytes(function.broken(source))
        try:
            return self.outcomes(tests)
        except subprocess.TimeoutExpired:
            return None
        finally:
            file.write_bytes(source)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
