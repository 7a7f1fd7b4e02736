"""Register what a selected environment needs: the session, the recorder, the watch for signals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from test_framework.environments import Environment, Project, load_environment
from test_framework.plugin.collection import Collection
from test_framework.plugin.evidence import EvidenceCollector
from test_framework.plugin.recorder import Recorder
from test_framework.plugin.session import EnvironmentSession
from test_framework.plugin.signals import SignalWatch
from test_framework.services.supervisor import Owner

RUN_DIR = "envmatrix_run_dir"
"""The key under which the controller tells its xdist workers where the supervisor's directory is."""


@dataclass(frozen=True)
class Selection:
    """What the options and the project's table amount to."""

    environment: Environment
    directory: Path
    env_file: Path | None
    run_file: Path | None
    project: Project
    destructive: bool


def select(config: pytest.Config, name: str) -> Selection:
    """Load the selected environment.

    Raises:
        EnvmatrixError: it is not declared, or declared wrongly.
    """
    project = Project.find(config.rootpath)
    directory = _path(config, "--matrix-environments") or project.environments_dir
    env_file = _path(config, "--matrix-env-file")
    return Selection(
        environment=load_environment(name, directory, env_file=env_file),
        directory=directory,
        env_file=env_file,
        run_file=_path(config, "--matrix-run-file"),
        project=project,
        destructive=bool(config.getoption("--matrix-destructive")),
    )


def _path(config: pytest.Config, option: str) -> Path | None:
    value = config.getoption(option)
    return config.invocation_params.dir / value if value else None


def register(config: pytest.Config, name: str) -> None:
    """Register our plugins for the selected environment.

    The controller owns the run directory and the run file; each xdist worker is told the first and leaves the second
    alone. Without xdist one process is both.

    Raises:
        EnvmatrixError: the environment is not declared, or declared wrongly.
    """
    selection = select(config, name)
    workerinput: dict[str, str] | None = getattr(config, "workerinput", None)
    manager = config.pluginmanager
    if workerinput is None:
        owner = Owner()
        config.add_cleanup(partial(_close, owner))
        run_dir = owner.run_dir
        recorder = Recorder(config, selection) if selection.run_file and not config.option.collectonly else None
        if recorder is not None:
            manager.register(recorder, "envmatrix-recorder")
        manager.register(SignalWatch(owner, recorder), "envmatrix-signals")
        manager.register(_TellWorkers(run_dir), "envmatrix-controller")
    else:
        run_dir = Path(workerinput[RUN_DIR])
    session = EnvironmentSession(config, selection, run_dir, workerinput["workerid"] if workerinput else "main")
    config.add_cleanup(session.close)
    manager.register(session, "envmatrix-session")
    manager.register(Collection(session), "envmatrix-collection")
    manager.register(EvidenceCollector(session), "envmatrix-evidence")


def _close(owner: Owner) -> None:
    owner.close()


class _TellWorkers:
    """Tells each xdist worker where the supervisor's directory is."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        """Add the directory to what xdist hands to a new worker."""
        node.workerinput[RUN_DIR] = str(self._run_dir)  # type: ignore[attr-defined]  # xdist has no type for it
