"""Register what a selected environment needs: the collection's checks, the recorder, the watch for signals."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from test_framework.carried import read_list
from test_framework.environments import Environment, Project, load_environment, read_env_file
from test_framework.exceptions import EnvmatrixError
from test_framework.masking import MASKER
from test_framework.plugin.bodies import bodies
from test_framework.plugin.carried import LeftOut
from test_framework.plugin.collection import Collection
from test_framework.plugin.deadline import TestDeadline
from test_framework.plugin.evidence import EvidenceCollector
from test_framework.plugin.far import hand_over, handed, is_far, prepare
from test_framework.plugin.leaks import Leaks
from test_framework.plugin.recorder import BODIES, DESELECTED, LAST_WORD, Recorder
from test_framework.plugin.shard import Sharding
from test_framework.plugin.signals import SignalWatch
from test_framework.plugin.smoke import Smoke
from test_framework.shards import Shard
from test_framework.stuck import Stuck

if TYPE_CHECKING:
    from test_framework.plugin.session import EnvironmentSession
    from test_framework.services.supervisor import Owner, Relay, SupervisorClient

RUN_DIR = "envmatrix_run_dir"
"""The key under which the controller tells its xdist workers on this machine where the supervisor's directory is."""

OUR_CONTRACTS = ("real_services", "real_llm")
"""Fixtures whose contract we bring; a project's table may add to them."""


@dataclass(frozen=True)
class Selection:
    """What the options and the project's table amount to."""

    environment: Environment
    directory: Path
    env_file: Path | None
    run_file: Path | None
    project: Project
    destructive: bool
    variables: Mapping[str, str] = field(repr=False)
    """Those that the declaration asks for, in the clear."""

    @property
    def contract_fixtures(self) -> frozenset[str]:
        """Return the names of the fixtures that have a contract."""
        return frozenset(OUR_CONTRACTS) | self.project.contracts.keys()


def select(config: pytest.Config, name: str) -> Selection:
    """Load the selected environment.

    Raises:
        EnvmatrixError: it is not declared, or declared wrongly.
    """
    project = Project.find(config.rootpath)
    directory = _path(config, "--matrix-environments") or project.environments_dir
    env_file = _path(config, "--matrix-env-file")
    if (far := handed(config)) is not None:
        directory, env_file = project.root / far.directory, None
        far.demand_same(directory / f"{name}.toml")
    variables = _Noted(far.variables if far else {**read_env_file(env_file), **os.environ})
    return Selection(
        environment=load_environment(name, directory, variables=variables),
        directory=directory,
        env_file=env_file,
        run_file=_path(config, "--matrix-run-file"),
        project=project,
        destructive=bool(config.getoption("--matrix-destructive")),
        variables=variables.asked,
    )


def declared_secrets(environment: Environment) -> Iterator[str | None]:
    """Yield the secrets that a declaration holds: keys, passwords in URLs, variables whose name says so."""
    for service in environment.services.values():
        yield service.api_key.get_secret_value() if service.api_key else None
        yield urlsplit(service.url.get_secret_value()).password if service.url else None
        for name, value in service.env.items():
            if re.search(r"(PASSWORD|SECRET|TOKEN|KEY)$", name, re.IGNORECASE):
                yield value.get_secret_value()


class _Noted(Mapping[str, str]):
    """Variables, of which those that were asked for are noted."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        self.asked[name] = self._values[name]
        return self.asked[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _path(config: pytest.Config, option: str) -> Path | None:
    value = config.getoption(option)
    return config.invocation_params.dir / value if value else None


class Process:
    """What this process has of the run, each part made when it is first needed: tests without services need none.

    The controller, or the only process, owns the supervisor's directory; xdist workers are told where it is, or on another
    machine get a channel to ask through.
    """

    def __init__(self, config: pytest.Config, selection: Selection) -> None:
        self.selection = selection
        self._config = config
        self.needed: frozenset[str] = frozenset()
        """The services that the collected tests need."""
        self.attestation: dict[str, dict[str, Any]] | None = None
        """What each service said it is, until a report takes it to the recorder."""
        self.sharding: Sharding | None = None
        """What keeps only a part of the suite; `None` where all of it is run."""
        self._workerinput: dict[str, Any] | None = getattr(config, "workerinput", None)

    @property
    def is_worker(self) -> bool:
        """Return whether this is one of xdist's workers."""
        return self._workerinput is not None

    @cached_property
    def owner(self) -> Owner:
        """Hold the run: when this process ends, everything that was started for it does."""
        from test_framework.services.supervisor import Owner

        return Owner()

    @property
    def run_dir(self) -> Path:
        """Return the supervisor's directory."""
        return Path(self._workerinput[RUN_DIR]) if self._workerinput is not None else self.owner.run_dir

    @property
    def stuck_file(self) -> Path | None:
        """Return where to leave word of a test that nothing can end; `None` where nobody could read it."""
        if self._workerinput is not None:
            worker = self._workerinput["workerid"]
            return Stuck.of_worker(self.run_dir, worker) if RUN_DIR in self._workerinput else None
        return Stuck.beside(self.selection.run_file) if self.selection.run_file else None

    @cached_property
    def supervisor(self) -> SupervisorClient:
        """Ask the supervisor, which is on this machine."""
        from test_framework.services.supervisor import SupervisorClient

        selection = self.selection
        return SupervisorClient(self.run_dir, selection.environment.name, selection.directory, selection.env_file)

    @cached_property
    def relay(self) -> Relay:
        """Ask it for workers on other machines."""
        from test_framework.services.supervisor import Relay

        return Relay(self.supervisor)

    @cached_property
    def session(self) -> EnvironmentSession:
        """Use the environment."""
        from test_framework.plugin.session import EnvironmentSession

        worker = self._workerinput["workerid"] if self._workerinput is not None else "main"
        far = handed(self._config)
        return EnvironmentSession(self._config, self.selection, far.client if far else self.supervisor, worker)

    def close(self, deadline: float = 10.0) -> None:
        """Give back what the tests took, then stop what was started, within `deadline` seconds."""
        try:
            if "session" in self.__dict__:
                self.session.close()
        except EnvmatrixError as error:
            sys.stderr.write(f"envmatrix: could not give back what the tests took: {error.message}\n")
        finally:
            self.stop(deadline)

    def stop(self, deadline: float) -> None:
        """Stop what was started, within `deadline` seconds."""
        if "owner" in self.__dict__:
            self.owner.close(deadline)

    def last_word(self) -> dict[str, dict[str, Any]]:
        """Return what each service that was used says it is, now; nothing where none was."""
        if "session" not in self.__dict__:
            return {}
        return {name: ping.model_dump(mode="json") for name, ping in self.session.attest(fresh=True).items()}

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new xdist worker where the supervisor's directory is, or how to ask without it."""
        if is_far(node.gateway.spec):
            hand_over(node, self.selection, self.relay)
        else:
            node.workerinput[RUN_DIR] = str(self.run_dir)


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
            LAST_WORD: self._process.last_word(),
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
        from test_framework.contracts import contract_classes

        contract_classes(selection.project)
    MASKER.add_all(declared_secrets(selection.environment))
    process = Process(config, selection)
    config.add_cleanup(process.close)
    manager = config.pluginmanager
    manager.register(process, "envmatrix-process")
    if part := config.getoption("--matrix-shard"):
        durations = _path(config, "--matrix-durations")
        process.sharding = Sharding(Shard.parse(part), durations, getattr(config, "workerinput", None))
        manager.register(process.sharding, "envmatrix-sharding")
    if (carried := _path(config, "--matrix-carried")) is not None:
        told: dict[str, Any] | None = getattr(config, "workerinput", None)
        manager.register(LeftOut.told(told) if told else LeftOut(read_list(carried)), "envmatrix-left-out")
    manager.register(Smoke(process), "envmatrix-smoke")
    manager.register(Collection(process), "envmatrix-collection")  # after it: what is registered last is asked first
    manager.register(EvidenceCollector(process, config.rootpath), "envmatrix-evidence")
    manager.register(Leaks(process), "envmatrix-leaks")
    if config.getoption("dist", "no") != "no":  # this process only hands tests out
        from test_framework.plugin.scheduling import Crashes

        manager.register(Crashes(process), "envmatrix-crashes")
    elif manager.hasplugin("timeout"):
        seconds = config.getoption("--matrix-test-deadline") or selection.project.test_deadline
        manager.register(TestDeadline(seconds, process.stuck_file), "envmatrix-test-deadline")
    if process.is_worker:
        manager.register(LastWord(process), "envmatrix-last-word")
        return
    prepare(config)
    recorder = Recorder(config, process) if selection.run_file and not config.option.collectonly else None
    if recorder is not None:
        manager.register(recorder, "envmatrix-recorder")
    deadline = config.getoption("--matrix-deadline")
    manager.register(SignalWatch(process, recorder, deadline), "envmatrix-signals")
