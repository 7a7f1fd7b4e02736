"""The hooks that a project's conftest may implement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envmatrix.environments import Environment
    from envmatrix.services import Endpoint


def pytest_envmatrix_contract_fields(
    environment: Environment, endpoints: Mapping[str, Endpoint]
) -> Mapping[str, object]:
    """Return values for the fields that your own contract adds and whose names do not tell them."""
    raise NotImplementedError
