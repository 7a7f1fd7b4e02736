"""The pings that one process remembers."""

import time

from envmatrix.plugin.pings import Pings
from envmatrix.runs.ping import Ping, PingStatus


def test_the_ping_before_a_moment_is_found_with_its_age() -> None:
    """Not the last one, where that was taken while the test ran."""
    states = iter([PingStatus.UP, PingStatus.DOWN])
    pings = Pings(lambda names, _: {name: Ping(service=name, status=next(states)) for name in names})
    assert pings.before(["redis"], time.monotonic()) == {}
    pings.take(["redis"])
    moment = time.monotonic()
    pings.take(["redis"], fresh=True)
    before = pings.before(["redis"], moment)["redis"]
    assert before.is_up
    assert 0 <= before.age < 1
    assert pings.seen_up_since(["redis"], moment) == frozenset()
    assert pings.seen_up_since(["redis"], moment - 1) == {"redis"}
