"""The parts of a run that one process has: its view of the environment, and the supervisor where it owns it."""

from __future__ import annotations

import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envmatrix.exceptions import EnvmatrixError
from envmatrix.plugin.far import hand_over, handed, is_far
from envmatrix.plugin.shard import Sharding
from envmatrix.runs.killed import KilledTest
from envmatrix.runs.ping import Ping

if TYPE_CHECKING:
    from envmatrix.plugin.session import EnvironmentSession
    from envmatrix.services.supervisor import Owner, Relay, SupervisorClient

from envmatrix.plugin.selection import Selection

RUN_DIR = "envmatrix_run_dir"
"""The key under which the controller tells its xdist workers on this machine where the supervisor's directory is."""


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
        self.attestation: dict[str, Ping] = {}
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
        from envmatrix.services.supervisor import Owner

        return Owner()

    @property
    def run_dir(self) -> Path:
        """Return the supervisor's directory."""
        return Path(self._workerinput[RUN_DIR]) if self._workerinput is not None else self.owner.run_dir

    @property
    def killed_file(self) -> Path | None:
        """Return where to leave word of a test that nothing can end; `None` where nobody could read it."""
        if self._workerinput is not None:
            worker = self._workerinput["workerid"]
            return KilledTest.of_worker(self.run_dir, worker) if RUN_DIR in self._workerinput else None
        return KilledTest.beside(self.selection.run_file) if self.selection.run_file else None

    @cached_property
    def supervisor(self) -> SupervisorClient:
        """Ask the supervisor, which is on this machine."""
        from envmatrix.services.supervisor import SupervisorClient

        selection = self.selection
        return SupervisorClient(self.run_dir, selection.environment.name, selection.directory, selection.env_file)

    @cached_property
    def relay(self) -> Relay:
        """Ask it for workers on other machines."""
        from envmatrix.services.supervisor import Relay

        return Relay(self.supervisor)

    @cached_property
    def session(self) -> EnvironmentSession:
        """Use the environment."""
        from envmatrix.plugin.session import EnvironmentSession

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

    def last_word(self) -> dict[str, Ping]:
        """Return what each service that was used says it is, now; nothing where none was."""
        if "session" not in self.__dict__:
            return {}
        return self.session.attest(fresh=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new xdist worker where the supervisor's directory is, or how to ask without it."""
        if is_far(node.gateway.spec):
            hand_over(node, self.selection, self.relay)
        else:
            node.workerinput[RUN_DIR] = str(self.run_dir)
