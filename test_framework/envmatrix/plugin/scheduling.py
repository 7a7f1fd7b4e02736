"""Keeps xdist's scope-based schedulers going when a worker crashes, and explains the crash.

xdist 3.8 puts a crashed worker's whole unit back, with the test that crashed it as not yet run: loadscope and loadfile run
it again until no worker may be restarted. And a worker starts no test before it knows the next one, or that there is
none: a replacement that gets a single test waits for ever, as happens with loadgroup.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import (  # type: ignore[import-untyped]  # xdist ships no types
    LoadFileScheduling,
    LoadGroupScheduling,
    LoadScopeScheduling,
)

from envmatrix.masking import MASKER
from envmatrix.plugin.note import add_note
from envmatrix.plugin.remote_workers import is_remote, limit_reruns
from envmatrix.runs.events import Evidence
from envmatrix.runs.killed import KilledTest
from envmatrix.runs.rules import RuleCode

if TYPE_CHECKING:
    from xdist.remote import Producer  # type: ignore[import-untyped]  # as above
    from xdist.scheduler import Scheduling
    from xdist.workermanage import WorkerController  # type: ignore[import-untyped]  # as above

    from envmatrix.plugin.process import Process

_ENOUGH = 2
"""Tests that a worker must know to start the first of them."""

_EXIT_DEADLINE = 2.0
"""Seconds from a worker's silence to its exit code."""


class _CrashSafe(LoadScopeScheduling):  # type: ignore[misc]  # as above
    """Hands a crashed worker's tests to others, but for the one that crashed it."""

    def remove_node(self, node: WorkerController) -> str | None:
        """Put back what a worker has left to do; return the test that it crashed under, if it did.

        Nothing is handed out before it is known whether that test is to be tried again: a group runs on one worker.

        Raises:
            KeyError: the worker was never ready.
        """
        crashed = None
        for scope, unit in self.assigned_work.pop(node).items():
            left = [test for test, done in unit.items() if not done]
            if left and crashed is None:
                crashed = left.pop(0)
            if left:
                self.workqueue[scope] = dict.fromkeys(left, False)
        if self.collection is None:  # its replacement is yet to collect, and counts in its place
            self.registered_collections.pop(node, None)
        return crashed

    def mark_test_pending(self, item: str) -> None:
        """Try a test again that crashed its worker: the first of those that were left with it."""
        scope = self._split_scope(item)
        self.workqueue[scope] = {item: False, **self.workqueue.get(scope, {})}

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Take what a worker collected; one that came later and collected other tests can run none of ours."""
        super().add_node_collection(node, collection)
        if node not in self.registered_collections:
            node.shutdown()

    def _reschedule(self, node: WorkerController) -> None:
        """Give a worker enough to do; tell all that there is no more as soon as that is so."""
        if node not in self.registered_collections:
            return  # it is yet to collect, and asked again then
        super()._reschedule(node)
        while self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) < _ENOUGH:
            self._assign_work_unit(node)
        if not self.workqueue:
            for each in self.registered_collections.keys() & self.assigned_work.keys():
                if not each.shutting_down:
                    each.shutdown()


class CrashSafeScope(_CrashSafe):
    """`--dist=loadscope`."""


class CrashSafeFile(_CrashSafe, LoadFileScheduling):  # type: ignore[misc]  # as above
    """`--dist=loadfile`."""


class CrashSafeGroup(_CrashSafe, LoadGroupScheduling):  # type: ignore[misc]  # as above
    """`--dist=loadgroup`."""


SCHEDULERS = {"loadscope": CrashSafeScope, "loadfile": CrashSafeFile, "loadgroup": CrashSafeGroup}
"""By the value of xdist's `--dist`. The others survive a crash as they are."""


class CrashedWorkers:
    """Chooses a scheduler that survives crashed workers, and explains what ended a worker."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> Scheduling | None:
        """Return a scheduler that survives a crash, unless the project has one of its own."""
        scheduler = SCHEDULERS.get(config.getvalue("dist"))
        return scheduler(config, log) if scheduler else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self, node: WorkerController) -> None:
        """Let xdist give work to a worker that has just crashed: it hears of that next, and takes the work back.

        Otherwise the whole run would end with an internal error, for a worker's end comes at any moment.
        """
        send = node.sendcommand

        def sendcommand(name: str, **given: object) -> None:
            with suppress(OSError):
                send(name, **given)

        node.sendcommand = sendcommand

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Add what ended the worker to its report: a deadline, a signal, or its own exit code."""
        worker: WorkerController = report.node
        if is_remote(worker.gateway.spec):
            limit_reruns(worker.config, crashitem)
        summary, stack = str(report.longrepr), ""
        if killed := KilledTest.read(KilledTest.of_worker(self._process.run_dir, worker.gateway.id)):
            summary, stack = f"{summary}: {killed.summary}", killed.stack
        elif ending := _ending(worker):
            summary = f"{summary}: {ending}"
        report.longrepr = "\n".join(filter(None, (summary, stack)))
        summary, stack = MASKER.mask(summary), MASKER.mask(stack)
        add_note(report, evidence=Evidence(RuleCode.WORKER_CRASHED, summary, phase="call", detail=stack))


def _ending(worker: WorkerController) -> str:
    """Return how a worker's process ended; empty where that is unknown, as for a remote one."""
    process = getattr(getattr(worker.gateway, "_io", None), "popen", None)  # execnet has no public way
    if is_remote(worker.gateway.spec) or not isinstance(process, subprocess.Popen):
        return ""  # the process that is ours is ssh
    try:
        code = process.wait(_EXIT_DEADLINE)
    except subprocess.TimeoutExpired:
        return ""
    if code >= 0:
        return f"its process ended with exit code {code}"
    hint = ", as the kernel ends what takes too much memory" if code == -signal.SIGKILL else ""
    return f"its process was ended by signal {-code} ({signal.strsignal(-code)}){hint}"
