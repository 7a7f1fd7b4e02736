"""Every check of an environment, all services at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from envmatrix.environments import Environment
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.health.completion import completion_checks
from envmatrix.services.health.settings import setting_checks
from envmatrix.services.health.status import Check
from envmatrix.services.health.stores import store_checks
from envmatrix.services.health.users import user_checks


def check_all(environment: Environment, endpoints: Mapping[str, Endpoint]) -> tuple[Check, ...]:
    """Check the services that are up; in production only what reads."""
    groups: list[Callable[[], Iterator[Check]]] = []
    for name, endpoint in endpoints.items():
        of_service = (setting_checks,) if environment.production else (setting_checks, store_checks, completion_checks)
        groups += [partial(checks, environment.services[name], endpoint) for checks in of_service]
    if not environment.production:
        groups.append(partial(user_checks, environment, endpoints))
    with ThreadPoolExecutor(max_workers=len(groups) or 1) as pool:
        return tuple(check for group in pool.map(lambda checks: list(checks()), groups) for check in group)
