"""The declared protected paths: each answers 200 to a user's token, and refuses who has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from envmatrix.contracts import Reality
from envmatrix.masking import Secret
from envmatrix.services import Endpoint
from envmatrix.services.kinds.http import new_client
from envmatrix.services.probes.exchanges import REFUSALS


@dataclass(frozen=True)
class Protected:
    """One protected path of one service."""

    service: str
    endpoint: Endpoint
    path: str

    def status(self, headers: Mapping[str, str]) -> int:
        """Return the status of one request with these headers, over a new connection; with none, nothing proves who asks."""
        with new_client(self.endpoint, **({} if headers else {"auth": None})) as client:
            return client.get(self.path, headers=dict(headers)).status_code


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": Secret(f"Bearer {token}".rstrip())}


def protected_paths(reality: Reality) -> tuple[Protected, ...]:
    """Return every protected path that is declared; skip the test where there is none."""
    paths = tuple(
        Protected(name, reality.endpoints[name], spec.protected)
        for name, spec in reality.environment.services.items()
        if spec.protected and name in reality.endpoints
    )
    return paths or _nothing_to_try(reality)


def api(reality: Reality) -> Protected:
    """Return the protected path of what `http_client` talks to: the declared service, or else the one that makes users."""
    users = reality.environment.users
    own = reality.environment.api
    name = own if own in reality.endpoints or users is None else users.service
    return (
        next((path for path in protected_paths(reality) if path.service == name), None) or _nothing_to_try(reality)[0]
    )


def statuses(reality: Reality, headers: Mapping[str, str]) -> dict[str, int]:
    """Return the status of each protected path for these headers."""
    return {path.service: path.status(headers) for path in protected_paths(reality)}


def accepting(reality: Reality, headers: Mapping[str, str]) -> dict[str, int]:
    """Return the status of each protected path that does not refuse these headers."""
    return {name: status for name, status in statuses(reality, headers).items() if status not in REFUSALS}


def everywhere(reality: Reality, status: int) -> dict[str, int]:
    """Return one expected status for each protected path, to compare with `statuses`."""
    return dict.fromkeys((path.service for path in protected_paths(reality)), status)


def _nothing_to_try(reality: Reality) -> tuple[Protected, ...]:
    pytest.skip(f"{reality.environment.file.name} declares no `protected` path on which a token could be tried")
