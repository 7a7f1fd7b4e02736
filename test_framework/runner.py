"""Runs one pytest per environment, all at the same time, and follows their run files.

Each pytest leads a session of its own, so that a deadline or a second Ctrl-C ends it with everything that it started in
it; its services belong to its supervisor, which sees it end in whatever way. Children are looked at a few times a
second: on a small machine they need the processor more than we do.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Self

from test_framework.environments import Environment, Project, declared_names, load_environment
from test_framework.exceptions import UsageError
from test_framework.runs import RunDir

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL; the plugin tears down within them."""

_INTERRUPT_GRACE = 15.0
"""Seconds for a run's own teardown after Ctrl-C, fixtures of the tests included."""

_POLL = 0.05
"""Seconds between two looks at the children."""

_TAKES_A_VALUE = frozenset({"-c", "-k", "-m", "-n", "-o", "-p", "-r", "-W"})
"""pytest's options whose next word is no path, though a directory may be of that name."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: which environments, and how pytest is called in each."""

    project: Project
    environments: tuple[Environment, ...]
    environments_dir: Path
    env_file: Path | None
    pytest_args: tuple[str, ...]
    deadline: float
    """Seconds that each environment may take."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Map each environment's name to its column's."""
        return {environment.name: environment.label for environment in self.environments}

    def job(self, environment: Environment, run_dir: RunDir) -> Job:
        """Return what runs one environment. Paths among pytest's arguments replace the project's suites.

        Each environment gets a cache of its own, so that `--lf` means what failed there.
        """
        run_file = run_dir.run_file(environment.name)
        # With "=": before our plugin is loaded, pytest takes an option's separate value for a path, and looks for its
        # rootdir there.
        options = [f"--matrix-environment={environment.name}", f"--matrix-run-file={run_file}"]
        options += [f"--matrix-environments={self.environments_dir}"]
        if self.env_file is not None:
            options += [f"--matrix-env-file={self.env_file}"]
        options += ["-o", f"cache_dir={run_dir.path.parent.parent / 'cache' / environment.name}"]
        suites = () if names_tests(self.pytest_args) else self.project.suites
        return Job(
            environment=environment.name,
            label=environment.label,
            command=(sys.executable, "-m", "pytest", *options, *suites, *self.pytest_args),
            run_file=run_file,
            log_file=run_dir.log_file(environment.name),
        )


def make_plan(
    names: Sequence[str],
    *,
    environments_dir: Path | None = None,
    env_file: Path | None = None,
    deadline: float | None = None,
    pytest_args: Sequence[str] = (),
) -> Plan:
    """Load what is to be run, all that the project declares where nothing is named.

    Raises:
        EnvmatrixError: an environment is not declared, or declared wrongly.
    """
    project = Project.find(Path.cwd())
    directory = environments_dir.resolve() if environments_dir else project.environments_dir
    names = tuple(dict.fromkeys(names)) or declared_names(directory)
    if not names:
        raise UsageError(f"no environment is declared in {directory}", "Declare one: NAME.toml in that directory")
    env_file = env_file.resolve() if env_file else None
    return Plan(
        project=project,
        environments=tuple(load_environment(name, directory, env_file=env_file) for name in names),
        environments_dir=directory,
        env_file=env_file,
        pytest_args=tuple(map(_from_here, pytest_args)),
        deadline=project.deadline if deadline is None else deadline,
    )


@dataclass(frozen=True, slots=True)
class Job:
    """One environment to run."""

    environment: str
    label: str
    command: tuple[str, ...]
    run_file: Path
    log_file: Path


@dataclass(slots=True)
class Child:
    """One pytest on its way, as far as its run file tells."""

    job: Job
    process: subprocess.Popen[bytes]
    started: float
    planned: int | None = None
    """`None` while it is collecting."""
    done: int = 0
    failed: int = 0
    exit_code: int | None = None
    """pytest's, or minus the signal that killed it; `None` while it runs."""
    seconds: float = 0.0
    """From start to now, or to its end."""
    note: str = ""
    """Why we ended it, if we did."""
    kill_at: float | None = None
    """When SIGKILL follows the signal that was sent."""
    _offset: int = 0
    _outcomes: dict[str, bool] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Return what it is doing, in one word."""
        if self.exit_code is not None:
            return "ended"
        if self.kill_at is not None:
            return "stopping"
        if self.planned is None:
            return "collecting"
        return "running" if self.done < self.planned else "tearing down"

    @property
    def ending(self) -> str:
        """Say how it ended, where its run file cannot; empty where it ended by itself."""
        return self.note or _ending(self.job, self.exit_code or 0)

    def follow(self) -> None:
        """Read what its run file gained."""
        try:
            with self.job.run_file.open("rb") as stream:
                stream.seek(self._offset)
                new = stream.read()
        except OSError:
            return  # not there yet
        whole = new.rfind(b"\n") + 1
        self._offset += whole
        for line in new[:whole].splitlines():
            self._note(line)
        self.done = len(self._outcomes)
        self.failed = sum(self._outcomes.values())

    def _note(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            if event["type"] == "header":
                self.planned = len(event["planned"])
            elif event["type"] == "attempt":
                self._outcomes[event["test"]] = event["outcome"] == "failed"
        except (ValueError, KeyError, TypeError):
            return  # progress only: whoever reads the whole file says what is wrong with it

    def poll(self) -> bool:
        """Look whether it ended; if so, end what it left in its session. Return whether it still runs."""
        if self.exit_code is not None:
            return False
        self.seconds = time.monotonic() - self.started
        pid = self.process.pid
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return True
        self.kill()  # while the dead leader holds the number, the group cannot be a stranger's
        self.exit_code = self.process.wait()
        self.follow()
        return False

    def kill(self) -> None:
        """End it and everything in its session, at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # nothing left; macOS says PermissionError where only the dead leader is

    def stop(self, signum: int, note: str, grace: float) -> None:
        """Ask it to end, and give it `grace` seconds."""
        if self.exit_code is None and self.kill_at is None:
            self.note = note
            self.kill_at = time.monotonic() + grace
            self.process.send_signal(signum)

    def enforce(self, deadline: float) -> None:
        """Stop what ran for longer than `deadline` seconds; kill what was asked to end and did not."""
        now = time.monotonic()
        if self.kill_at is None:
            if now - self.started > deadline:
                self.stop(signal.SIGTERM, f"deadline of {deadline:g} s passed", GRACE)
        elif now > self.kill_at:
            self.note = f"{self.note.partition(';')[0]}; killed when it had not ended in time"
            self.kill()


def names_tests(args: Sequence[str]) -> bool:
    """Return whether one of pytest's arguments names a file, a directory or a test."""
    return any(
        before not in _TAKES_A_VALUE and not word.startswith("-") and ("::" in word or Path(word).exists())
        for before, word in pairwise(("", *args))
    )


def _from_here(word: str) -> str:
    """Return an argument that names a path as one that does so from any directory: pytest runs in the project's root."""
    path, separator, rest = word.partition("::")
    here = path and not path.startswith("-") and Path(path).exists()
    return f"{Path(path).resolve()}{separator}{rest}" if here else word


def child_environment() -> dict[str, str]:
    """Return what a pytest of ours gets: the user's own, without what would only slow it down."""
    # Without bytecode each run would compile and rewrite every module again, which doubles it.
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run_matrix(plan: Plan, observe: Callable[[Sequence[Child]], None] = lambda _: None) -> RunDir:
    """Run every environment of a plan at once, each into its run file and log.

    Raises:
        KeyboardInterrupt: Ctrl-C came a second time; everything was killed.
    """
    run_dir = RunDir.create(plan.project.runs_dir, plan.labels)
    jobs = [plan.job(environment, run_dir) for environment in plan.environments]
    children = run_all(jobs, cwd=plan.project.root, deadline=plan.deadline, observe=observe)
    run_dir.write_manifest(plan.labels, {child.job.environment: child.ending for child in children})
    return run_dir


def run_attached(plan: Plan, *, stdout: int | None = None) -> RunDir:
    """Run the one environment of a plan on our own terminal; pytest's output goes to `stdout`."""
    run_dir = RunDir.create(plan.project.runs_dir, plan.labels)
    (environment,) = plan.environments
    job = plan.job(environment, run_dir)
    code, note = run_one(job.command, cwd=plan.project.root, deadline=plan.deadline, stdout=stdout)
    run_dir.write_manifest(plan.labels, {environment.name: note or _ending(job, code)})
    return run_dir


def _ending(job: Job, exit_code: int) -> str:
    """Say how a run ended whose file cannot tell."""
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return "" if job.run_file.exists() else f"pytest ended with exit code {exit_code} before it recorded a run"


def run_all(
    jobs: Sequence[Job], *, cwd: Path, deadline: float, observe: Callable[[Sequence[Child]], None] = lambda _: None
) -> tuple[Child, ...]:
    """Run every job at once; return when all have ended. `observe` sees the children a few times a second.

    Ctrl-C and SIGTERM are passed on, and the runs' own teardown waited for.

    Raises:
        KeyboardInterrupt: Ctrl-C came a second time; everything was killed.
    """
    with _Signals() as signals:
        children = [_start(job, cwd) for job in jobs]
        try:
            while True:
                running = [child for child in children if child.poll()]
                observe(children)
                if not running:
                    return tuple(children)
                signals.pass_on(running)
                for child in running:
                    child.enforce(deadline)
                    child.follow()
                time.sleep(_POLL)
        finally:
            for child in children:  # only after an error of our own is anything left to kill
                if child.exit_code is None:
                    child.kill()
                    child.process.wait()


def run_one(command: Sequence[str], *, cwd: Path, deadline: float, stdout: int | None = None) -> tuple[int, str]:
    """Run one pytest on our own terminal; return its exit code, and why we ended it, if we did.

    It stays in our process group, so that Ctrl-C and a debugger's prompt work as if it had been started by hand.
    """
    started = time.monotonic()
    note = ""
    with _Signals() as signals:
        process = subprocess.Popen(command, cwd=cwd, env=child_environment(), stdout=stdout)  # noqa: S603  our own command
        kill_at: float | None = None
        while True:
            try:
                return process.wait(_POLL), note
            except subprocess.TimeoutExpired:
                now = time.monotonic()
            if kill_at is not None:
                if now > kill_at or signals.count > 1:
                    process.kill()
            elif signals.count:
                note, kill_at = signals.note, now + _INTERRUPT_GRACE
                if signals.last != signal.SIGINT:  # the terminal sends that one to its whole group
                    process.send_signal(signal.SIGTERM)
            elif now - started > deadline:
                note, kill_at = f"deadline of {deadline:g} s passed", now + GRACE
                process.send_signal(signal.SIGTERM)


def _start(job: Job, cwd: Path) -> Child:
    with job.log_file.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  our own command
            job.command,
            cwd=cwd,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Child(job, process, time.monotonic())


class _Signals:
    """Counts the signals that ask us to end, instead of ending."""

    def __init__(self) -> None:
        self.count = 0
        self.last = 0

    @property
    def note(self) -> str:
        return "interrupted by Ctrl-C" if self.last == signal.SIGINT else f"ended by {signal.Signals(self.last).name}"

    def __enter__(self) -> Self:
        self._before = {
            signum: signal.signal(signum, self._on_signal) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signal module's call
        self.count += 1
        self.last = signum

    def pass_on(self, children: Sequence[Child]) -> None:
        """Stop the children at the first signal.

        Raises:
            KeyboardInterrupt: there was a second one.
        """
        if self.count > 1:
            raise KeyboardInterrupt
        if self.count == 1:
            signum = signal.SIGINT if self.last == signal.SIGINT else signal.SIGTERM
            for child in children:
                child.stop(signum, self.note, _INTERRUPT_GRACE)
