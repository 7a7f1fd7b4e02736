"""Fails or skips a test that must not run: a fixture is missing, a service is down, the target forbids destruction."""

from __future__ import annotations

import pytest

from envmatrix.environments import Source
from envmatrix.exceptions import EnvmatrixError
from envmatrix.plugin.process import Process
from envmatrix.runs.ping import Ping, PingStatus

ENDPOINTS = "matrix_endpoints"
"""The fixture that hands out the endpoints of all services, of which it notes those that are read."""
REQUIRED = pytest.StashKey[frozenset[str]]()
"""The services behind the capabilities that an item requires."""
USED = pytest.StashKey[frozenset[str]]()
"""The services that an item uses by its markers' word, all of them by `real_services`, or by what `[pytest]` gives."""
MISSING = pytest.StashKey[EnvmatrixError]()
"""Why an item cannot run at all: it asks for a fixture or a capability that does not exist."""
DESTRUCTIVE = pytest.StashKey[bool]()
"""Set for an item that may destroy something, once the declaration and the flag have said yes."""


class Preconditions:
    """Checks, before a test's setup, what the collection has noted about it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Step aside where nothing was noted: each hook of ours costs every test something."""
        stashes = [item.stash for item in session.items]
        if not any(REQUIRED in stash or MISSING in stash or DESTRUCTIVE in stash for stash in stashes):
            session.config.pluginmanager.unregister(self)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Fail a test with a missing fixture, before `skip` or `xfail` can hide it; skip where an optional one is down."""
        __tracebackhide__ = True
        if (error := item.stash.get(MISSING, None)) is not None:
            raise error
        if DESTRUCTIVE in item.stash and (reason := self._refusal_of_the_target()):
            pytest.skip(reason)
        for service in sorted(item.stash.get(REQUIRED, ())):
            session = self._process.session
            session.start(frozenset({service}))
            ping = session.ping([service])[service]
            environment = session.environment
            if ping.is_up or environment.services[service].is_required or environment.is_degraded(service):
                continue  # tests that a fault reaches tell what it breaks
            pytest.skip(_why_not_up(ping, environment.label))

    def _refusal_of_the_target(self) -> str:
        """Return why the target itself forbids a destructive test; what we started ourselves is ours."""
        environment = self._process.selection.environment
        remote = [name for name, spec in environment.services.items() if spec.source is Source.REMOTE]
        if not remote or environment.twin is not None:
            return ""
        session = self._process.session
        session.start(frozenset(remote))
        claims = {
            name: ping.identity["environment"]
            for name, ping in session.ping(remote).items()
            if "environment" in ping.identity
        }
        for name, claim in claims.items():
            if claim != environment.declared_name:
                return f"destructive, and {name} says that it is {claim}, not {environment.declared_name}"
        return "" if claims else f"destructive, and nothing in {environment.label} says which environment it is"


def _why_not_up(ping: Ping, label: str) -> str:
    state = "absent" if ping.status is PingStatus.ABSENT else f"optional and {ping.status}: {ping.detail}"
    return f"{ping.service} is {state} in {label}"
