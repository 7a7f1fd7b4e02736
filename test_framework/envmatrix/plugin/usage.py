"""What each test used of the environment: what it read of the contract fixtures, or what its markers name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envmatrix.environments import BACKEND
from envmatrix.plugin.note import add_note
from envmatrix.plugin.preconditions import ENDPOINTS, USED
from envmatrix.services.probes.exchanges import ANSWERS, EXCHANGES, routes

if TYPE_CHECKING:
    from envmatrix.plugin.process import Process

_VALUES = pytest.StashKey[list[object]]()
"""The contract fixtures' values that an item got."""


class Usage:
    """Knows what a test used."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.fixtures = process.selection.contract_fixtures

    def keep(self, node: pytest.Item, value: object) -> None:
        """Keep a contract fixture's value.

        What `getfixturevalue` brings is not among an item's arguments, and what has a broader scope only there.
        """
        node.stash.setdefault(_VALUES, []).append(value)

    def note(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Attach the services that a test used, and what it exercised, to its last report."""
        if (values := self.values(item)) or USED in item.stash:
            services, capabilities = sorted(self.services(item, values)), sorted(self._exercised(item, values))
            requests = routes(self._process.addresses) if self._process.sample_every else {}
            add_note(report, services=tuple(services), capabilities=tuple(capabilities), requests=requests)
            EXCHANGES.clear()
            ANSWERS.clear()

    def values(self, item: pytest.Item) -> list[object]:
        """Return the values of contract fixtures that an item got, each once."""
        arguments = getattr(item, "funcargs", None) or {}
        values = [*item.stash.get(_VALUES, []), *(arguments[name] for name in self.fixtures & arguments.keys())]
        return list({id(value): value for value in values}.values())

    def services(self, item: pytest.Item, values: list[object]) -> frozenset[str]:
        """Return the services that a test used: what it read of the fixtures, or, without any, what its markers name.

        What `[pytest]` gives every test used, and what was read of `matrix_endpoints`, for whatever test, all that have it.
        """
        used = self._read(values) if values else item.stash.get(USED, frozenset())
        if ENDPOINTS in getattr(item, "fixturenames", ()):
            used |= self._process.endpoints.used
        return used | self._process.selection.environment.given

    def _read(self, values: list[object]) -> frozenset[str]:
        """Return the services behind what a test read; all of them where it got something that cannot tell."""
        from envmatrix.contracts import services_behind

        environment = self._process.selection.environment
        used = [getattr(value, "used_meanings", None) for value in values]
        if None in used:
            return environment.closure(frozenset(environment.services))
        return services_behind(set().union(*(meanings or () for meanings in used)), environment)

    def _exercised(self, item: pytest.Item, values: list[object]) -> set[str]:
        """Return the capabilities that a test exercised: what it requires or used, services too.

        Who asks for `matrix_reality` has touched everything: only the marker tells what such a test is about.
        """
        found = {str(name) for marker in item.iter_markers("requires") for name in marker.args}
        if "matrix_reality" not in getattr(item, "fixturenames", ()):
            used = set().union(*(getattr(value, "used_meanings", ()) for value in values))
            found |= self.services(item, values) | {meaning.capability for meaning in used}
        environment = self._process.selection.environment
        if found & (names := {BACKEND, environment.service_named(BACKEND)}):  # two names of one service
            found |= names
        return (found | environment.exercised_with(found)) & environment.providers.keys()
