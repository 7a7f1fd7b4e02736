"""The parts of a run that one process has: its view of the environment, and the supervisor where it owns it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envmatrix.environments import Source
from envmatrix.exceptions import EnvmatrixError, SupervisorError
from envmatrix.plugin.guard import Guard
from envmatrix.plugin.remote_workers import RemoteInput, digest, is_remote, remote_input, usage_errors
from envmatrix.plugin.selection import Selection, path_option
from envmatrix.runs.events import Fingerprint
from envmatrix.runs.garbage import paused
from envmatrix.runs.killed import KilledTest
from envmatrix.runs.ping import Ping
from envmatrix.safety.unpatched import REAL

if TYPE_CHECKING:
    from envmatrix.plugin.access import ProtectedPaths
    from envmatrix.plugin.endpoints import Endpoints
    from envmatrix.plugin.isolation import Isolation
    from envmatrix.plugin.session import EnvironmentSession
    from envmatrix.plugin.shard import Sharding
    from envmatrix.plugin.users import SessionUsers
    from envmatrix.services.supervisor import Owner, Relay, SupervisorClient
    from envmatrix.services.supervisor.service_state import ServiceState

_RUN_DIR, _SUPERVISOR_DIR = "envmatrix_run_dir", "envmatrix_supervisor_dir"
"""The keys under which the controller tells its xdist workers on this machine where the two directories are."""


class Process:
    """The parts of a run that this process has, each made when it is first needed: tests without services need none.

    The controller, or the only process, owns the supervisor's directory; xdist workers are told where it is, or on another
    machine get a channel to ask through.
    """

    def __init__(self, config: pytest.Config, selection: Selection) -> None:
        self.config = config
        self.selection = selection
        self.guard = Guard()
        self._pid = REAL.getpid()
        self.needed: frozenset[str] = frozenset()
        """The services that the collected tests need."""
        self.attestation: dict[str, Ping] = {}
        """The first ping of each service in use, until a report takes it to the recorder."""
        self.sharding: Sharding | None = None
        """Keeps only a part of the suite; `None` where all of it is run."""
        self._workerinput: dict[str, Any] | None = getattr(config, "workerinput", None)

    @property
    def is_worker(self) -> bool:
        """Return whether this is one of xdist's workers."""
        return self._workerinput is not None

    @property
    def _worker(self) -> str:
        return self._workerinput["workerid"] if self._workerinput is not None else "main"

    @cached_property
    def owner(self) -> Owner:
        """Return the owner of the run: when this process ends, everything that was started for it does."""
        from envmatrix.services.supervisor import Owner

        return Owner()

    @property
    def sample_every(self) -> float | None:
        """Return the seconds from one sample of the run to the next; `None` where it is not sampled."""
        every: float | None = self.config.getoption("--matrix-sample")
        return every

    def note_tester(self) -> None:
        """Note that this process runs tests, or hands them out, so that the sampler finds it."""
        from envmatrix.services.processes.process_identity import ProcessIdentity
        from envmatrix.services.processes.supervisor_directory import SupervisorDirectory

        if self._workerinput is None or _RUN_DIR in self._workerinput:  # on another machine nobody looks
            name = self._worker if self.is_worker else "pytest"
            ProcessIdentity.mine().write(SupervisorDirectory(self.run_dir).tester(name))

    @property
    def run_dir(self) -> Path:
        """Return the run's own directory."""
        return Path(self._workerinput[_RUN_DIR]) if self._workerinput is not None else self.owner.run_dir

    @cached_property
    def supervisor_dir(self) -> Path:
        """Return the directory of the supervisor: the run's own, or of a kept environment that this process connects to."""
        if self._workerinput is not None:
            return Path(self._workerinput[_SUPERVISOR_DIR])
        if self.shared_supervisor_dir is not None:
            return self.shared_supervisor_dir
        from envmatrix.plugin.kept import kept_run_dir

        return kept_run_dir(self.config, self.selection) or self.run_dir

    @property
    def shared_supervisor_dir(self) -> Path | None:
        """Return the directory of the supervisor that the runs of a search for vacuous tests share; `None` in any other."""
        return path_option(self.config, "--matrix-vacuity")

    @property
    def killed_file(self) -> Path | None:
        """Return the file that tells of a test that nothing can end; `None` where nobody could read it."""
        if self._workerinput is not None:
            return KilledTest.of_worker(self.run_dir, self._worker) if _RUN_DIR in self._workerinput else None
        return KilledTest.beside(self.selection.run_file) if self.selection.run_file else None

    @cached_property
    def supervisor(self) -> SupervisorClient:
        """Return the client of the supervisor, which is on this machine."""
        from envmatrix.services.supervisor import SupervisorClient

        selection = self.selection
        declared = selection.environment
        return SupervisorClient(self.supervisor_dir, declared.name, selection.directory, selection.env_file, declared)

    @cached_property
    def relay(self) -> Relay:
        """Return the relay by which workers on other machines reach the supervisor."""
        from envmatrix.services.supervisor import Relay

        return Relay(self.supervisor)

    @cached_property
    def session(self) -> EnvironmentSession:
        """Return the environment as this process uses it."""
        with paused():
            from envmatrix.plugin.session import EnvironmentSession

        remote = remote_input(self.config)
        return EnvironmentSession(self.selection, remote.client if remote else self.supervisor)

    @property
    def addresses(self) -> dict[str, str]:
        """Map each declared service that is not absent to its `host:port`; empty where this process did not start it."""
        endpoints = self.session.endpoints if "session" in self.__dict__ else {}
        services = self.selection.environment.services
        there = [name for name, spec in services.items() if spec.source is not Source.ABSENT]
        found = {name: endpoints[name] for name in there if name in endpoints}
        return {name: f"{found[name].host}:{found[name].port}" if name in found else "" for name in there}

    @cached_property
    def users(self) -> SessionUsers:
        """Return the users that this process makes."""
        from envmatrix.plugin.users import SessionUsers

        return SessionUsers(self.session, self._worker)

    @cached_property
    def isolation(self) -> Isolation:
        """Return this worker's own parts of services."""
        from envmatrix.plugin.isolation import Isolation
        from envmatrix.services.processes.supervisor_directory import SupervisorDirectory

        run = None if remote_input(self.config) else SupervisorDirectory(self.supervisor_dir)
        return Isolation(self.session, f"{self._worker}_{self._pid}", run)  # a kept environment has many a gw0

    @cached_property
    def endpoints(self) -> Endpoints:
        """Return the endpoints for fixtures of any scope."""
        from envmatrix.plugin.endpoints import Endpoints

        return Endpoints(self.session, self.isolation)

    @cached_property
    def protected(self) -> ProtectedPaths:
        """Return the services' protected paths."""
        from envmatrix.plugin.access import ProtectedPaths

        return ProtectedPaths(self.session, self.users)

    def close(self, deadline: float = 10.0) -> None:
        """Give back what the tests took, then stop what was started, within `deadline` seconds.

        Does nothing in a forked child: all of it is its parent's.
        """
        if REAL.getpid() != self._pid:
            return
        try:
            with ExitStack() as stack:
                for name in ("users", "isolation"):  # closed in the opposite order
                    if (part := self.__dict__.get(name)) is not None:
                        stack.callback(part.close)
        except EnvmatrixError as error:
            sys.stderr.write(f"envmatrix: could not give back what the tests took: {error.message}\n")
        finally:
            self.stop(deadline)

    def stop(self, deadline: float) -> None:
        """Stop what was started, within `deadline` seconds."""
        if "owner" in self.__dict__:
            self.owner.close(deadline)

    def service_states(self) -> Mapping[str, ServiceState]:
        """Return the states of all services, whichever process used them; nothing where none was started."""
        if "owner" in self.__dict__:
            with suppress(SupervisorError):
                return self.supervisor.states()
        return {}

    def fingerprint(self) -> Fingerprint | None:
        """Return what the services in use are made of, whichever process used them; `None` where none was started."""
        if "owner" in self.__dict__:
            with suppress(SupervisorError):
                return self.supervisor.fingerprint()
        return None

    def final_attestation(self) -> dict[str, Ping]:
        """Return a fresh ping of each service in use; nothing where none was."""
        if "session" not in self.__dict__:
            return {}
        return self.session.attest(fresh=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new xdist worker where the supervisor's directory is, or how to reach the supervisor without it."""
        if not is_remote(node.gateway.spec):
            with usage_errors(self.config):
                node.workerinput[_RUN_DIR] = str(self.run_dir)
                node.workerinput[_SUPERVISOR_DIR] = str(self.supervisor_dir)
            return
        if self.relay.refusal:  # whatever takes the place of a worker that could not begin cannot either
            why = f"a worker on another machine refuses: {self.relay.refusal}"
            pytest.exit(why, pytest.ExitCode.USAGE_ERROR)
        selection, root = self.selection, self.selection.project.root
        is_inside = selection.directory.is_relative_to(root)
        RemoteInput(
            directory=str(selection.directory.relative_to(root) if is_inside else selection.directory),
            digest=digest([selection.environment.file, *selection.environment.bases]),
            variables=dict(selection.variables),
            channel=self.relay.channel(node.gateway),
        ).hand_to(node)
