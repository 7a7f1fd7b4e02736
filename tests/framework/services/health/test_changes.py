"""What several looks agree on. Nothing is asked here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from envmatrix.services.health import Change, Changes, Check, EnvironmentHealth, HealthStatus, ServiceHealth
from envmatrix.services.health.changes import settled

WORDS = {"o": HealthStatus.OK, "g": HealthStatus.DEGRADED, "d": HealthStatus.DOWN, "u": HealthStatus.UNKNOWN}


def service(name: str, status: str, *causes: str) -> ServiceHealth:
    """Return a service that is so."""
    reason = "" if status == "o" else f"{name} is {WORDS[status]}"
    return ServiceHealth(name, "http", "remote", required=True, status=WORDS[status], reason=reason, causes=causes)


def shop(*services: ServiceHealth, **more) -> EnvironmentHealth:
    """Return an environment."""
    return EnvironmentHealth("shop", "shop", services, **more)


def told(*looks: EnvironmentHealth) -> list[tuple[int, Change]]:
    """Return what some looks after each other change, with the number of the look."""
    changes = Changes()
    return [(number, each) for number, look in enumerate(looks, 1) for each in changes.after(look, float(number))]


@pytest.mark.fault("flapping-health")
@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ("oooooooo", "1o"),
        ("oooodooo", "1o"),
        ("odododododododod", "1o"),
        ("dodododododododo", "1d"),
        ("ooodddddd", "1o 6d"),
        ("oooddoddd", "1o 7d"),
        ("ddddooo", "1d 7o"),
        ("oooodddoooodddd", "1o 7d 10o 14d"),
        ("oooodgdgdgdg", "1o 7d"),
        ("oooogdgdgdgd", "1o 7g"),
        ("ooooggg", "1o 7g"),
        ("oooouuuoo", "1o 7u"),
    ],
)
def test_three_of_four_looks_change_a_state(looks: str, expected: str) -> None:
    """One odd look changes nothing, every second one neither; what is ill in two ways is never taken for well."""
    seen = told(*(shop(service("a", each)) for each in looks))
    assert (
        " ".join(f"{number}{each.after.value[0] if each.after != 'degraded' else 'g'}" for number, each in seen)
        == expected
    )


def test_a_tie_of_two_other_states_is_the_worst() -> None:
    """Down and degraded, two looks each."""
    assert settled(WORDS["o"], [WORDS[each] for each in "gdgd"]) is HealthStatus.DOWN
    assert settled(WORDS["o"], [WORDS[each] for each in "dgdg"]) is HealthStatus.DOWN


def test_a_change_tells_what_was_seen() -> None:
    """Before and after, the reason of the last look that saw it, and who fails with it."""
    with_it = service("b", "g", "a")
    why = [shop(replace(service("a", "d"), reason=reason), with_it) for reason in ("timeout", "reset", "refused")]
    first, second = told(shop(service("a", "o")), *why)
    assert first[1] == Change(1.0, "shop", "a", "", None, HealthStatus.OK)
    assert second[1] == Change(4.0, "shop", "a", "", HealthStatus.OK, HealthStatus.DOWN, "refused", ("b",))


def test_what_fails_with_another_is_told_with_it_alone() -> None:
    """And by itself once it is ill on its own."""
    looks = [shop(service("a", "o"), service("b", "o"))]
    looks += [shop(service("a", "d"), service("b", "d", "a"))] * 4
    looks += [shop(service("a", "o"), service("b", "d"))] * 3
    assert [(number, each.service, each.after) for number, each in told(*looks)] == [
        (1, "a", "ok"),
        (1, "b", "ok"),
        (4, "a", "down"),
        (8, "a", "ok"),
        (8, "b", "down"),
    ]


def test_in_maintenance_nothing_changes() -> None:
    """What is still down after it is told then."""
    well, ill = shop(service("a", "o")), shop(service("a", "d"))
    worked_on = shop(service("a", "d"), maintenance="in maintenance until 04:00")
    assert [number for number, _ in told(well, *[worked_on] * 9, well)] == [1]
    assert [number for number, _ in told(well, *[worked_on] * 9, ill, ill, ill)] == [1, 13]


def test_checks_and_whole_environments_have_states_too() -> None:
    """A check by its name, an environment that could not be looked at by none; what is absent has none."""
    absent = ServiceHealth("c", "http", "absent", required=False, status=HealthStatus.ABSENT)
    checks = (Check("a", "no token", HealthStatus.DOWN, "answers 200"), Check("a", "x", HealthStatus.ABSENT))
    ((_, checked),) = told(shop(absent, checks=checks))
    assert (checked.service, checked.check, checked.after, checked.reason) == ("a", "no token", "down", "answers 200")
    ((_, failed),) = told(EnvironmentHealth("shop", "shop", (), "the supervisor ended"))
    assert (failed.service, failed.after, failed.reason) == ("", "unknown", "the supervisor ended")


def test_a_first_look_is_news_where_something_is_ill() -> None:
    """Who is well from the start need not be told of."""
    well, ill = (each for _, each in told(shop(service("a", "o"), service("b", "d"))))
    assert (well.is_news, ill.is_news) == (False, True)
