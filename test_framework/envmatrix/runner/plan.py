"""Plan a run: which environments, and the pytest command of each."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from envmatrix.environments import Environment, Project, PytestTable, load_environments
from envmatrix.exceptions import UsageError
from envmatrix.runner.interpreter import check_suite_place, directory_of, interpreter_of
from envmatrix.runner.processes import Job
from envmatrix.runner.pytest_options import takes_next_word
from envmatrix.runs.directory import RunDir, last_complete
from envmatrix.runs.reused import Reuse
from envmatrix.runs.shards import Shard

_BEYOND_RETRIES = "^(MissingFixtureError|FixtureLookupError|ContractError|UnknownCapabilityError): "
"""Failures that a retry cannot change, as a pattern of pytest-rerunfailures."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The environments to run, and how to call pytest in each."""

    project: Project
    environments: tuple[Environment, ...]
    environments_dir: Path
    env_file: Path | None
    suites: tuple[str, ...]
    """The project's suites, unless pytest's arguments name others."""
    pytest_args: tuple[str, ...]
    deadline: float
    """Seconds that each environment may take."""
    shard: Shard | None = None
    """The part of the suite to run."""
    durations: Path | None = None
    """Earlier durations of tests, by which shards are balanced: a run file, or a directory of them."""
    test_deadline: float | None = None
    """Seconds that each test may take; by default the project's limit."""
    retries: int = 0
    """How often a failed test is tried again."""
    record_contexts: bool = False
    """Whether it is recorded which functions each test runs."""
    sample: float | None = None
    """Seconds from one sample of a run to the next; `None` where none are taken."""
    is_ours: bool = False
    """Whether the suite is the one that we ship: what `[pytest]` of a declaration says is not for it."""
    reuse: Mapping[str, Reuse] = field(default_factory=dict)
    """Environment → the cells that it reuses of an earlier run."""
    commit: str = ""
    """The commit under test, known where cells are reused."""
    dirty: bool = False

    @property
    def runs_dir(self) -> Path:
        """Return where its run is kept: one of our own suite says nothing of the project's, and is never its latest."""
        runs_dir = self.project.runs_dir
        return runs_dir.parent / "validations" if self.is_ours else runs_dir

    @property
    def labels(self) -> Mapping[str, str]:
        """Map the name of each environment's run to its label in the matrix."""
        return {environment.run_name: environment.label for environment in self.environments}

    def job(self, environment: Environment, run_dir: RunDir) -> Job:
        """Return the pytest process that runs one environment.

        Each environment has its own cache, so that `--lf` means the tests that failed there.
        """
        run_file = run_dir.run_file(environment.run_name, self.shard)
        if self.is_ours:
            environment = environment.model_copy(update={"pytest": PytestTable()})
        # With "=": before our plugin is loaded, pytest takes an option's separate value for a path, and looks for its
        # rootdir there.
        options = [f"--matrix-environment={environment.name}", f"--matrix-run-file={run_file}"]
        if self.shard is not None:
            options += [f"--matrix-shard={self.shard}"]
            if durations := self._durations(environment.name):
                options += [f"--matrix-durations={durations}"]
        if (reuse := self.reuse.get(environment.name)) is not None:
            left_out = run_dir.path / f".{environment.name}.reused"
            reuse.write_list(left_out)
            options += [f"--matrix-reused={left_out}"]
        options += ["-o", f"cache_dir={run_dir.path.parent.parent / 'cache' / environment.name}"]
        return Job(
            environment=environment.run_name,
            label=environment.label,
            command=(
                interpreter_of(environment, self.project.root),
                *("-m", "pytest", *self._plugins(), *self._settings(environment), *options),
                *(() if environment.pytest.directory else self._suites()),
                *self.pytest_args,
            ),
            run_file=run_file,
            log_file=run_dir.log_file(environment.run_name),
            cwd=directory_of(environment, self.project.root),
        )

    def _settings(self, environment: Environment) -> Iterator[str]:
        """Yield our options that say how an environment is run, wherever the run is recorded."""
        yield f"--matrix-environments={self.environments_dir}"
        yield f"--matrix-deadline={self.deadline:g}"
        if self.is_ours:
            yield "--matrix-plain"
        if environment.pytest.directory:
            yield f"--matrix-project={self.project.root}"
        if self.test_deadline is not None:
            yield f"--matrix-test-deadline={self.test_deadline:g}"
        if self.retries:
            yield from (f"--reruns={self.retries}", f"--rerun-except={_BEYOND_RETRIES}")
        if self.record_contexts:
            yield "--matrix-contexts"
        if self.sample is not None:
            yield f"--matrix-sample={self.sample:g}"
        if self.env_file is not None:
            yield f"--matrix-env-file={self.env_file}"
        yield from (f"--matrix-set={text}" for text in environment.overrides)
        if environment.alias:
            yield f"--matrix-as={environment.alias}"

    def _plugins(self) -> Iterator[str]:
        """Yield pytest's arguments that load what a run needs, where the user has it load no plugin by itself."""
        if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") or "--disable-plugin-autoload" in self.pytest_args:
            for plugin in ("envmatrix", "timeout", *(("rerunfailures",) if self.retries else ())):
                yield from ("-p", plugin)

    def _suites(self) -> tuple[str, ...]:
        """Return pytest's arguments for the suites.

        With remote workers, xdist refuses paths that it was not told to send by `--rsyncdir`, so `testpaths` is set.
        """
        options = {word.partition("=")[0] for word in self.pytest_args}
        if self.suites and "--tx" in options and "--rsyncdir" not in options:
            return ("-o", f"testpaths={shlex.join(self.suites)}")
        return self.suites

    def _durations(self, environment: str) -> Path | None:
        """Return the run file whose durations balance an environment's shards."""
        if self.durations is None:
            return last_complete(self.project.runs_dir, environment)
        path = RunDir(self.durations).run_file(environment) if self.durations.is_dir() else self.durations
        return path if path.exists() else None


def make_plan(
    names: Sequence[str],
    *,
    environments_dir: Path | None = None,
    env_file: Path | None = None,
    overrides: Sequence[str] = (),
    alias: str = "",
    deadline: float | None = None,
    shard: Shard | None = None,
    durations: Path | None = None,
    test_deadline: float | None = None,
    retries: int = 0,
    record_contexts: bool = False,
    sample: float | None = None,
    pytest_args: Sequence[str] = (),
) -> Plan:
    """Load the named environments, or all that are declared, and plan their runs; an alias is for the only one's run.

    Raises:
        EnvmatrixError: an environment is not declared, or declared wrongly.
    """
    project = Project.find(Path.cwd())
    directory = environments_dir.resolve() if environments_dir else project.environments_dir
    env_file = env_file.absolute() if env_file else None
    if durations is not None and not durations.exists():
        raise UsageError(f"no run file {durations}", "--durations names a run file, or a directory of them")
    environments = load_environments(names, directory, env_file, overrides, alias)
    for environment in environments:
        check_suite_place(environment, project.root)
    with_kind = tuple(_with_kind(pytest_args))
    return Plan(
        project=project,
        environments=environments,
        environments_dir=directory,
        env_file=env_file,
        pytest_args=tuple(_from_here(word) if is_test else word for word, is_test in with_kind),
        suites=() if any(is_test for _, is_test in with_kind) else project.suites,
        deadline=project.deadline if deadline is None else deadline,
        shard=shard,
        durations=durations.absolute() if durations else None,
        test_deadline=test_deadline,
        retries=retries,
        record_contexts=record_contexts,
        sample=sample,
    )


def _with_kind(args: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield each of pytest's arguments, and whether it names a file, a directory or a test."""
    for before, word in pairwise(("", *args)):
        is_option = word.startswith("-") or takes_next_word(before)
        yield word, not is_option and ("::" in word or Path(word).exists())


def _from_here(word: str) -> str:
    """Return a path or node id relative to the current directory as absolute: pytest runs in the project's root."""
    path, separator, rest = word.partition("::")
    return f"{Path.cwd() / path}{separator}{rest}" if Path(path).exists() else word
