"""A Compose project of web, worker and database: its suite takes both addresses by options."""

from __future__ import annotations

from collections.abc import Callable

from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.rules import RuleCode
from tests.adoption.adopted import Adopted
from tests.framework.services.podman import IMAGE, Podman


def test_a_compose_project_with_a_worker(adopt: Callable[[str], Adopted], containers: Podman) -> None:
    """Two projects of one file hold; where the worker listens to another queue, no order is packed, and that is named."""
    for name in ("valkey:9", "busybox:1"):
        containers.run("tag", IMAGE, f"localhost/{name}")
    project = adopt("orders")
    project.by_hand(
        "local",
        """
        [services.worker]
        start_deadline = 120
        [services.backend]
        start_deadline = 120
        """,
    )
    project.by_hand(
        "staging",
        """
        extends = "local.toml"
        [compose]
        project = "orders-staging"
        """,
    )
    project.holds(local=3, staging=3)
    assert containers.everything() == set()

    project.write("compose.staging.yaml", "services: {worker: {environment: {QUEUE: orders-v2}}}\n")
    project.by_hand("staging", '[compose]\nfiles = ["compose.yaml", "compose.staging.yaml"]')
    assert project.breaks() == {
        ("staging", "tests/test_orders.py::test_an_order_is_packed"): (
            Outcome.FAILED,
            Cause.LOGIC,
            RuleCode.FAILED_ON_HEALTHY,
        )
    }
