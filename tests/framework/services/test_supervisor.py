"""One process owns every service of a run, and leaves nothing behind."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from test_framework.services.states import ServiceStatus
from test_framework.services.supervisor import Owner
from tests.framework.services.place import Place, eventually

TWO = """
[services.store]
kind = "banner"
source = "embedded"

[services.shop]
kind = "banner"
source = "process"
command = ["{python}", "-S", "-E", "SERVER", "{shop.port}", "needs={store.state_dir}/data"]
"""


def test_a_service_comes_up_with_all_that_it_references(place: Place) -> None:
    """Asking for one service brings up its references too, and each answers."""
    place.declare(TWO)
    owner = Owner(place.runs / "r")
    started = place.client(owner.run_dir).start(["shop"])
    assert {name: state.status for name, state in started.states.items()} == {"shop": "up", "store": "up"}
    shop = started.states["shop"]
    assert shop.endpoint is not None
    socket.create_connection((shop.endpoint.host, shop.endpoint.port)).close()
    final = owner.close()
    assert {state.status for state in final.values()} == {ServiceStatus.STOPPED}
    assert shop.pid is not None
    assert not psutil.pid_exists(shop.pid)
    assert owner.close() == {}
