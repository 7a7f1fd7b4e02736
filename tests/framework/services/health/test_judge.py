"""What pings mean: a status each, one cause for all that fail with it. Nothing is asked here."""

from __future__ import annotations

from pathlib import Path

import pytest

from envmatrix.environments import Environment, ServiceSpec, Source
from envmatrix.runs.ping import Certificate, Ping, PingStatus
from envmatrix.services.health import EnvironmentHealth, HealthStatus, Look, judge, worst

NOW = 1_800_000_000.0
DAY = 24 * 3600


def remote(name: str, kind: str = "http", **more) -> ServiceSpec:
    """Return a declaration."""
    return ServiceSpec(name=name, kind=kind, source=Source.REMOTE, url="http://unused", **more)


def started(name: str, *references: str, **more) -> ServiceSpec:
    """Return the declaration of a command that references others."""
    words = ("serve", *(f"{{{each}.port}}" for each in references))
    return ServiceSpec(name=name, kind="http", source=Source.PROCESS, command=words, **more)


def up(name: str, **more) -> Ping:
    """Return the ping of a service that is up."""
    return Ping(service=name, status=PingStatus.UP, **more)


def down(name: str, detail: str = "connection refused", **more) -> Ping:
    """Return the ping of a service that is down."""
    return Ping(service=name, status=PingStatus.DOWN, detail=detail, **more)


def degraded(name: str, detail: str, **more) -> Ping:
    """Return the ping of a service that is degraded."""
    return Ping(service=name, status=PingStatus.DEGRADED, detail=detail, **more)


def judged(*services: ServiceSpec, pings: list[Ping], **more) -> EnvironmentHealth:
    """Judge an environment of some services."""
    environment = Environment(name="shop", file=Path("shop.toml"), services={each.name: each for each in services})
    return judge(Look(environment, "shop", {ping.service: ping for ping in pings}, **more), NOW)


@pytest.mark.parametrize(
    ("ping", "status", "reason"),
    [
        (up("a"), "ok", ""),
        (down("a"), "down", "connection refused"),
        (degraded("a", "not ready: kafka is down"), "degraded", "not ready: kafka is down"),
        (degraded("a", "answers as b", wrong_identity=True), "down", "answers as b"),
        (degraded("a", "login refused", refused=True), "down", "login refused"),
        (
            up("a", detail="answered 2 of 3 looks: timeout", looks=3, failed_looks=1),
            "degraded",
            "answered 2 of 3 looks: timeout",
        ),
        (up("a", skew=4), "ok", ""),
        (up("a", skew=-5), "degraded", "its clock is 5 s behind ours"),
        (up("a", certificate=Certificate(NOW + 15 * DAY, "ours", "TLSv1.3")), "ok", ""),
        (
            up("a", certificate=Certificate(NOW + 1.5 * DAY, "ours", "TLSv1.3")),
            "degraded",
            "its certificate expires in 1.5 days",
        ),
    ],
)
def test_a_ping_has_one_status(ping: Ping, status: str, reason: str) -> None:
    """A service that is somebody else, or refuses the login, is down; late news of clock and certificate degrade it."""
    (service,) = judged(remote("a"), pings=[ping]).services
    assert (service.status, service.reason) == (status, reason)


def test_an_environment_is_as_well_as_its_worst_required_service() -> None:
    """An optional service that is down degrades it; an absent one does nothing."""
    absent = ServiceSpec(name="c", kind="http", source=Source.ABSENT)
    services = remote("a"), remote("b", required=False), absent
    assert judged(*services, pings=[up("a"), up("b")]).status is HealthStatus.OK
    assert judged(*services, pings=[up("a"), down("b")]).status is HealthStatus.DEGRADED
    assert judged(*services, pings=[down("a"), up("b")]).status is HealthStatus.DOWN


def test_what_was_not_looked_at_is_unknown() -> None:
    """A service that could not be asked, an environment without services, and one that could not be started."""
    lost = judged(remote("a"), remote("b"), pings=[up("a")], unseen={"b": "this machine is blind"})
    assert (lost.status, lost.services[1].status) == (HealthStatus.UNKNOWN, HealthStatus.UNKNOWN)
    assert judged(ServiceSpec(name="c", kind="http", source=Source.ABSENT), pings=[]).status is HealthStatus.UNKNOWN
    assert judged(remote("a"), pings=[], failure="the supervisor ended").status is HealthStatus.UNKNOWN


def test_what_fails_with_another_is_shown_under_it() -> None:
    """By what a service says of those that it needs, under their declared names, or else by its references."""
    health = judged(
        remote("redis", "redis", capabilities=("cache",)),
        remote("backend"),
        started("worker", "backend", "mail"),
        started("mail"),
        pings=[
            down("redis"),
            degraded("backend", "not ready: cache is down", dependencies={"cache": "down", "auth": "up"}),
            down("worker", "was not started"),
            up("mail"),
        ],
    )
    assert {each.service: each.causes for each in health.services} == {
        "redis": (),
        "backend": ("redis",),
        "worker": ("redis",),
        "mail": (),
    }
    assert [each.service for each in health.caused_by("redis")] == ["backend", "worker"]


@pytest.mark.parametrize(
    "ping",
    [
        degraded("backend", "not ready: kafka is down", dependencies={"kafka": "down", "redis": "up"}),
        degraded("backend", "answers as blog", wrong_identity=True),
        degraded("backend", "certificate verify failed", refused=True),
    ],
    ids=["another dependency", "stranger", "refusal"],
)
def test_a_fault_of_its_own_is_shown_as_one(ping: Ping) -> None:
    """What names another reason itself is not put under a service that happens to be down as well."""
    health = judged(started("redis"), started("backend", "redis"), pings=[down("redis"), ping])
    assert [each.service for each in health.roots] == ["redis", "backend"]


def test_services_that_blame_each_other_are_both_shown() -> None:
    """In a cycle there is no bottom, and nothing may get lost."""
    lost = {"a": down("a", dependencies={"b": "down"}), "b": down("b", dependencies={"a": "down"})}
    assert len(judged(remote("a"), remote("b"), pings=list(lost.values())).roots) == 2


def test_a_required_service_that_fails_with_an_unseen_one_is_unknown() -> None:
    """Where the observer is cut off, nothing that follows from it is held against the environment."""
    health = judged(
        remote("llm"), started("backend", "llm"), pings=[down("backend", "not ready")], unseen={"llm": "blind"}
    )
    assert health.status is HealthStatus.UNKNOWN


def test_the_worst_of_none_is_unknown() -> None:
    """Nothing empty is ok."""
    assert worst([]) is HealthStatus.UNKNOWN
    assert [status.exit_code for status in HealthStatus] == [0, 1, 2, 3, 0]
