"""Start pytest processes, follow their run files, and end them at a deadline or a signal.

Processes that run at once lead sessions of their own, so that a deadline or a second Ctrl-C ends each with everything that
it started there; its services belong to its supervisor, which sees it end in whatever way. Each holds an end of our pipe,
and ends when we are gone. They are polled a few times a second: on a small machine the tests need the processor more.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Self

from envmatrix.exceptions import UsageError
from envmatrix.runs.file import read_footer
from envmatrix.safety.private import open_private
from envmatrix.services.processes.process import environment_of, kill_all, processes_with
from envmatrix.services.processes.supervisor_directory import MARK

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL; the plugin tears down within them."""

_INTERRUPT_GRACE = 15.0
"""Seconds for a run's own teardown after Ctrl-C, fixtures of the tests included."""

_MARK = "ENVMATRIX_RUNNER"
"""Variable by which a process is known to have come from a pytest of ours."""

_POLL = 0.05
"""Seconds between two polls of the processes."""


@dataclass(frozen=True, slots=True)
class Job:
    """The pytest command that runs one environment, and its files."""

    environment: str
    label: str
    command: tuple[str, ...]
    run_file: Path
    log_file: Path
    cwd: Path

    def ending(self, exit_code: int) -> str:
        """Return how a run ended, where its run file cannot tell; else empty."""
        if exit_code < 0:
            return f"killed by {signal.Signals(-exit_code).name}"
        ended = f"pytest ended with exit code {exit_code}"
        if not self.run_file.exists():
            return f"{ended} before it recorded a run"
        footer = read_footer(self.run_file)
        if footer is None:
            return f"{ended} before its run file had a footer, as after os._exit"
        return "" if footer.exit_code == exit_code else f"{ended}, after its run file's footer said {footer.exit_code}"


@dataclass(slots=True)
class Child:
    """A pytest process, and its progress by its run file."""

    job: Job
    process: subprocess.Popen[bytes] | None = None
    """`None` while it waits for its turn."""
    started: float = 0.0
    planned: tuple[str, ...] | None = None
    """The planned tests in their order; `None` while pytest is collecting."""
    ended: dict[str, bool] = field(default_factory=dict)
    """Test → whether its last attempt failed, in the order of their first ends."""
    failures: dict[str, str] = field(default_factory=dict)
    """Test of which an attempt failed → the first line of why, masked, in the order in which they came."""
    exit_code: int | None = None
    """pytest's exit code, or minus the signal that killed it; `None` while it waits or runs."""
    seconds: float = 0.0
    """Seconds from its start to now, or to its end."""
    note: str = ""
    """Why we ended it, if we did."""
    kill_at: float | None = None
    """When SIGKILL follows the signal that was sent."""
    interrupted: bool = False
    """Whether a signal that came to us ended it, rather than its deadline."""
    _offset: int = 0

    @property
    def done(self) -> int:
        """Return the number of tests that have ended."""
        return len(self.ended)

    @property
    def failed(self) -> int:
        """Return the number of tests whose last attempt failed."""
        return sum(self.ended.values())

    @property
    def current(self) -> str:
        """Return the first planned test without an end: with several workers one of those that run. Empty before and after."""
        return next((test for test in self.planned or () if test not in self.ended), "")

    @property
    def state(self) -> str:
        """Return its present activity in one word."""
        if self.exit_code is not None:
            return "ended"
        if self.process is None:
            return "waiting"
        if self.kill_at is not None:
            return "stopping"
        if self.planned is None:
            return "collecting"
        return "running" if self.done < len(self.planned) else "tearing down"

    @property
    def ending(self) -> str:
        """Return how it ended, where its run file cannot tell; empty where it ended by itself."""
        return self.note or self.job.ending(self.exit_code or 0)

    def start(self, pipe: int, environment: Mapping[str, str]) -> None:
        """Start it."""
        with open_private(self.job.log_file, "wb") as log:  # a product may print secrets
            self.process = subprocess.Popen(  # noqa: S603  our own command
                _watching(self.job.command, pipe),
                pass_fds=(pipe,),
                cwd=self.job.cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started = time.monotonic()

    def follow(self) -> None:
        """Read the new lines of its run file."""
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

    def _note(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            if event["type"] == "header":
                self.planned = tuple(event["planned"])
            elif event["type"] == "attempt":
                self.ended[event["test"]] = failed = event["outcome"] == "failed"
                if failed:
                    self.failures.setdefault(event["test"], event.get("evidence", {}).get("summary", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # progress only: the reader of the whole file reports what is wrong

    def poll(self) -> bool:
        """Return whether it runs; when it has ended, kill the rest of its session."""
        if self.exit_code is not None or self.process is None:
            return False
        self.seconds = time.monotonic() - self.started
        pid = self.process.pid
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return True
        self.kill()  # until it is waited for, its number cannot become another group's
        self.exit_code = self.process.wait()
        self.follow()
        return False

    def kill(self) -> None:
        """Kill it and everything in its session."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # nothing left; macOS says PermissionError where only the dead leader is

    def stop(self, signum: int, note: str, grace: float) -> None:
        """Send it a signal, and SIGKILL after `grace` seconds; one that waits is not started any more."""
        if self.process is None:
            self.note, self.exit_code = f"{note} before it was started", -signum
        elif self.exit_code is None and self.kill_at is None:
            self.note = note
            self.kill_at = time.monotonic() + grace
            self.process.send_signal(signum)

    def enforce(self, deadline: float, patience: float) -> None:
        """Stop it `patience` seconds after its deadline, by which it should end itself; kill it after its grace."""
        now = time.monotonic()
        if self.kill_at is None:
            if now - self.started > deadline + patience:
                self.stop(signal.SIGTERM, f"deadline of {deadline:g} s passed", GRACE)
        elif now > self.kill_at:
            self.note = f"{self.note.partition(';')[0]}; killed when it had not ended in time"
            self.kill()


def run_all(
    jobs: Sequence[Job],
    *,
    deadline: float,
    patience: float = 0.0,
    at_once: int | None = None,
    observe: Callable[[Sequence[Child]], None] = lambda _: None,
) -> tuple[Child, ...]:
    """Run jobs, at most so many at once, by default all; return when all have ended.

    They are started in their order. `observe` sees the children a few times a second. The deadline counts from the start.

    Ctrl-C and SIGTERM are passed on, and the runs' own teardown waited for.

    Raises:
        KeyboardInterrupt: Ctrl-C came a second time; everything was killed.
    """
    with _Signals() as signals, _runner_pipe() as pipe, _pytest_environment() as environment:
        children = [Child(job) for job in jobs]
        try:
            while True:
                running = [child for child in children if child.poll()]
                waiting = [child for child in children if child.state == "waiting"]
                if signals.first:
                    signals.pass_on([*running, *waiting])
                    waiting = []
                for child in waiting[: (at_once or len(jobs)) - len(running)]:
                    child.start(pipe, environment)
                    running.append(child)
                observe(children)
                if not running:
                    return tuple(children)
                for child in running:
                    child.enforce(deadline, patience)
                    child.follow()
                time.sleep(_POLL)
        finally:
            for child in children:  # still running only after an error of our own
                if child.exit_code is None and child.process is not None:
                    child.kill()
                    child.process.wait()


def run_one(
    command: Sequence[str], *, cwd: Path, deadline: float, patience: float = 0.0, stdout: int | None = None
) -> tuple[int, str]:
    """Run one pytest on our own terminal; return its exit code, and why we ended it, or an empty text.

    It stays in our process group, so that Ctrl-C and a debugger's prompt work as if it had been started by hand.
    """
    started = time.monotonic()
    note = ""
    with _Signals() as signals, _runner_pipe() as pipe, _pytest_environment() as environment:
        process = subprocess.Popen(  # noqa: S603  our own command
            _watching(command, pipe), pass_fds=(pipe,), cwd=cwd, env=environment, stdout=stdout
        )
        kill_at: float | None = None
        while True:
            try:
                return process.wait(_POLL), note
            except subprocess.TimeoutExpired:
                now = time.monotonic()
            if kill_at is not None:
                if now > kill_at or signals.impatient:
                    process.kill()
            elif signals.first:
                note, kill_at = signals.note, now + _INTERRUPT_GRACE
                if signals.first != signal.SIGINT:  # the terminal sends that one to its whole group
                    process.send_signal(signal.SIGTERM)
            elif now - started > deadline + patience:
                note, kill_at = f"deadline of {deadline:g} s passed", now + GRACE
                process.send_signal(signal.SIGTERM)


def run_command(command: Sequence[str], on_poll: Callable[[int], None]) -> int:
    """Run a command of the user's own, for as long as it takes; return its exit code, as a shell gives it.

    `on_poll` gets its process id, a few times a second. A signal is passed on; a second one, or 15 s, kills it.

    Raises:
        UsageError: it cannot be started.
    """
    with _Signals() as signals:
        try:
            process = subprocess.Popen(command)  # noqa: S603  the user's command
        except OSError as error:
            raise UsageError(f"{command[0]} cannot be run: {error.strerror}", "Name a program after --") from None
        kill_at = math.inf
        while True:
            try:
                code = process.wait(_POLL)
            except subprocess.TimeoutExpired:
                if signals.first and kill_at == math.inf:
                    kill_at = time.monotonic() + _INTERRUPT_GRACE
                    if signals.first != signal.SIGINT:  # the terminal sends that one to its whole group
                        process.send_signal(signals.first)
                if signals.impatient or time.monotonic() > kill_at:
                    process.kill()
                on_poll(process.pid)
            else:
                return code if code >= 0 else 128 - code


@contextmanager
def _runner_pipe() -> Iterator[int]:
    """Open a pipe and yield its reading end; the writing end closes when we are done, or killed."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def _pytest_environment() -> Iterator[Mapping[str, str]]:
    """Yield the environment variables of our pytests; in the end, kill what their tests started and left.

    A supervisor and what it started carry its own mark, and end by themselves.
    """
    mark = secrets.token_hex(8)
    try:
        yield {**child_environment(), _MARK: mark}
    finally:
        kill_all(process for process in processes_with(_MARK, mark) if MARK not in environment_of(process))


def _watching(command: Sequence[str], pipe: int) -> list[str]:
    python, module, pytest, *arguments = command
    return [python, module, pytest, "-p", "envmatrix.plugin.runner_pipe", f"--matrix-runner-pipe={pipe}", *arguments]


class _Signals:
    """Counts SIGINT, SIGTERM and SIGHUP while it is entered, so that they do not end us."""

    def __init__(self) -> None:
        self._seen: Counter[int] = Counter()

    @property
    def first(self) -> int:
        """Return the first signal; 0 before any."""
        return next(iter(self._seen), 0)

    @property
    def impatient(self) -> bool:
        """Return whether a signal was repeated. SIGTERM after SIGINT does not count: nox and CI systems send both."""
        return any(number > 1 for number in self._seen.values())

    @property
    def note(self) -> str:
        return "interrupted by Ctrl-C" if self.first == signal.SIGINT else f"ended by {signal.Signals(self.first).name}"

    def __enter__(self) -> Self:
        signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            signals.remove(signal.SIGHUP)  # nohup: outlive the terminal
        self._before = {signum: signal.signal(signum, self._on_signal) for signum in signals}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signal module's call
        self._seen[signum] += 1

    def pass_on(self, children: Sequence[Child]) -> None:
        """Stop the children at the first signal.

        Raises:
            KeyboardInterrupt: it came again.
        """
        if self.impatient:
            raise KeyboardInterrupt
        if self.first:
            signum = signal.SIGINT if self.first == signal.SIGINT else signal.SIGTERM
            for child in children:
                child.interrupted = True
                child.stop(signum, self.note, _INTERRUPT_GRACE)


def child_environment() -> dict[str, str]:
    """Return the environment variables of a pytest process: our own, with bytecode switched on."""
    # Without bytecode each run would compile every module again, and take twice as long.
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
