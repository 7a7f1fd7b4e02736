"""Register what a selected environment needs: the collection's checks, the recorder, the watch for signals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from envmatrix.masking import MASKER
from envmatrix.plugin.bodies import bodies
from envmatrix.plugin.collection import Collection
from envmatrix.plugin.deadline import TestDeadline
from envmatrix.plugin.evidence import EvidenceCollector
from envmatrix.plugin.far import prepare
from envmatrix.plugin.left_over import LeftOver
from envmatrix.plugin.note import Notes
from envmatrix.plugin.recorder import BODIES, DESELECTED, LAST_WORD, Recorder
from envmatrix.plugin.reused import LeftOut
from envmatrix.plugin.shard import Sharding
from envmatrix.plugin.signals import SignalWatch
from envmatrix.plugin.smoke import Smoke
from envmatrix.runs.reused import read_list
from envmatrix.runs.shards import Shard

if TYPE_CHECKING:
    pass

from envmatrix.plugin.process import Process
from envmatrix.plugin.selection import declared_secrets, path_option, select


class LastWord:
    """What a worker of xdist tells the controller at its end: a run file has one writer."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._deselected = 0

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count what was collected and left out."""
        self._deselected += len(items)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Say what each service is now, how many tests were left out, and what the bodies of the others are."""
        output: dict[str, Any] = session.config.workeroutput  # type: ignore[attr-defined]  # xdist's
        output |= {
            DESELECTED: self._deselected,
            LAST_WORD: msgspec.to_builtins(self._process.last_word()),
            BODIES: bodies(session.items),
        }


def register(config: pytest.Config, name: str) -> None:
    """Register our plugins for the selected environment; the run file has one writer, whatever the number of workers.

    Raises:
        EnvmatrixError: the environment is not declared, or declared wrongly.
    """
    selection = select(config, name)
    if selection.project.contracts:
        # Imported now, where a wrong name is a usage error; ours alone are imported when a test first needs them.
        from envmatrix.contracts import contract_classes

        contract_classes(selection.project)
    MASKER.add_all(declared_secrets(selection.environment))
    process = Process(config, selection)
    config.add_cleanup(process.close)
    manager = config.pluginmanager
    manager.register(process, "envmatrix-process")
    if config.pluginmanager.hasplugin("xdist"):
        manager.register(Notes(), "envmatrix-notes")
    if part := config.getoption("--matrix-shard"):
        durations = path_option(config, "--matrix-durations")
        process.sharding = Sharding(Shard.parse(part), durations, getattr(config, "workerinput", None))
        manager.register(process.sharding, "envmatrix-sharding")
    if (reused := path_option(config, "--matrix-reused")) is not None:
        told: dict[str, Any] | None = getattr(config, "workerinput", None)
        manager.register(LeftOut.told(told) if told else LeftOut(read_list(reused)), "envmatrix-left-out")
    manager.register(Smoke(process), "envmatrix-smoke")
    manager.register(Collection(process), "envmatrix-collection")  # after it: what is registered last is asked first
    manager.register(EvidenceCollector(process, config.rootpath), "envmatrix-evidence")
    manager.register(LeftOver(process), "envmatrix-left-over")
    if config.getoption("dist", "no") != "no":  # this process only hands tests out
        from envmatrix.plugin.scheduling import Crashes

        manager.register(Crashes(process), "envmatrix-crashes")
    elif manager.hasplugin("timeout"):
        seconds = config.getoption("--matrix-test-deadline") or selection.project.test_deadline
        manager.register(TestDeadline(seconds, process.killed_file), "envmatrix-test-deadline")
    if process.is_worker:
        manager.register(LastWord(process), "envmatrix-last-word")
        return
    prepare(config)
    recorder = Recorder(config, process) if selection.run_file and not config.option.collectonly else None
    if recorder is not None:
        manager.register(recorder, "envmatrix-recorder")
    deadline = config.getoption("--matrix-deadline")
    manager.register(SignalWatch(process, recorder, deadline), "envmatrix-signals")
