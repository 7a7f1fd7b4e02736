"""Registers the plugins that a run against a selected environment needs, in the order that they need."""

from __future__ import annotations

from typing import Any

import pytest

from envmatrix.exceptions import UsageError
from envmatrix.plugin.collection import Collection
from envmatrix.plugin.crashes import Crashes
from envmatrix.plugin.evidence import EvidenceCollector
from envmatrix.plugin.forked import ForkedChildren
from envmatrix.plugin.given import hand_to_workers, selected
from envmatrix.plugin.left_over import LeftOver
from envmatrix.plugin.masked_output import MaskedOutput
from envmatrix.plugin.note import Notes
from envmatrix.plugin.preconditions import Preconditions
from envmatrix.plugin.process import Process
from envmatrix.plugin.remote_workers import prepare_tx
from envmatrix.plugin.selection import path_option
from envmatrix.plugin.signals import SignalWatch
from envmatrix.plugin.smoke import Smoke
from envmatrix.plugin.worker_output import WorkerReporter


def register(config: pytest.Config, name: str) -> None:
    """Register our plugins for the selected environment; the run file has one writer, whatever the number of workers.

    Raises:
        EnvmatrixError: the environment is not declared, or declared wrongly.
    """
    process = selected(config, name)
    selection = process.selection
    if selection.project.contracts:
        # Imported now, where a wrong name is a usage error; ours alone are imported when a test first needs them.
        from envmatrix.contracts import contract_classes

        contract_classes(selection.project)
    manager = config.pluginmanager
    manager.register(process, "envmatrix-process")
    manager.register(MaskedOutput(), "envmatrix-masked-output")
    if config.pluginmanager.hasplugin("xdist"):
        manager.register(Notes(), "envmatrix-notes")
    _register_asked_for(config, process)
    if (variant := selection.environment.variant) is not None:
        from envmatrix.plugin.degraded import Degraded

        manager.register(Degraded(process, variant), "envmatrix-degraded")
    manager.register(Smoke(process), "envmatrix-smoke")
    # After it: what is registered last is called first.
    manager.register(Preconditions(process), "envmatrix-preconditions")
    manager.register(Collection(process), "envmatrix-collection")
    crashes = Crashes(process, getattr(config, "workerinput", {}).get("workercount", 1))
    manager.register(EvidenceCollector(process, crashes, config.rootpath), "envmatrix-evidence")
    manager.register(crashes, "envmatrix-crashes")
    manager.register(LeftOver(process), "envmatrix-left-over")
    if config.getoption("dist", "no") != "no":  # this process only hands tests out
        from envmatrix.plugin.scheduling import CrashedWorkers

        manager.register(CrashedWorkers(process), "envmatrix-crashed-workers")
        hand_to_workers(config)
    elif manager.hasplugin("timeout"):
        from envmatrix.plugin.deadline import TestDeadline

        seconds = config.getoption("--matrix-test-deadline") or selection.project.test_deadline
        manager.register(TestDeadline(seconds, process.killed_file, process.guard), "envmatrix-test-deadline")
    if process.is_worker:
        manager.register(WorkerReporter(process), "envmatrix-worker-reporter")
        manager.register(ForkedChildren(config), "envmatrix-forked")
        return
    prepare_tx(config)
    recorder = None
    if selection.run_file and not config.option.collectonly:
        from envmatrix.plugin.recorder import Recorder

        recorder = Recorder(config, process)
        manager.register(recorder, "envmatrix-recorder")
    deadline = config.getoption("--matrix-deadline")
    signals = SignalWatch(process, recorder, deadline)
    manager.register(signals, "envmatrix-signals")
    manager.register(ForkedChildren(config, signals.restore), "envmatrix-forked")


def _register_asked_for(config: pytest.Config, process: Process) -> None:
    """Register the plugins of options that few runs have: a shard, reused cells, contexts; prepare for a sampler.

    Raises:
        UsageError: a run is to be sampled that is not recorded.
    """
    manager = config.pluginmanager
    if part := config.getoption("--matrix-shard"):
        from envmatrix.plugin.shard import Sharding
        from envmatrix.runs.shards import Shard

        durations = path_option(config, "--matrix-durations")
        process.sharding = Sharding(Shard.parse(part), durations, getattr(config, "workerinput", None))
        manager.register(process.sharding, "envmatrix-sharding")
    if (reused := path_option(config, "--matrix-reused")) is not None:
        from envmatrix.plugin.reused import ReusedTests
        from envmatrix.runs.reused import read_list

        workerinput: dict[str, Any] | None = getattr(config, "workerinput", None)
        manager.register(
            ReusedTests.of_worker(workerinput) if workerinput else ReusedTests(read_list(reused)), "envmatrix-reused"
        )
    if config.getoption("--matrix-sample"):
        if process.selection.run_file is None:
            raise UsageError("--matrix-sample has no file to record in", "Name one: --matrix-run-file PATH")
        process.note_tester()
    if contexts := manager.get_plugin("envmatrix-contexts"):
        contexts.attach(process)
