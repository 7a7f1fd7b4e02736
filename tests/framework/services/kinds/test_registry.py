"""Kinds are found by name: ours, and those that an installed package brings."""

from __future__ import annotations

import sys

import pytest

from envmatrix.environments import ServiceSpec, Source, load_environment
from envmatrix.exceptions import UnknownKindError, UsageError
from envmatrix.runs.ping import PingStatus
from envmatrix.services import Kind, get_kind, kind_of, known_kinds
from envmatrix.services.supervisor import Owner
from tests.framework.services.place import HERE, Place
from tests.framework.services.servers import running

OURS = ("amqp", "background", "clickhouse", "grpc", "http", "job", "mysql", "openai", "postgres", "redis", "s3", "tcp")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package with entry points, as far as importlib can tell."""

    def install(entry_points: str, **modules: str) -> None:
        info = tmp_path / "example-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[envmatrix.kinds]\n{entry_points}\n")
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))

    yield install
    get_kind.cache_clear()
    for name in [name for name in sys.modules if name.startswith("example_")]:
        del sys.modules[name]


def test_our_kinds_are_known():
    """Each of ours loads, implements the Protocol and has the name it is asked for by."""
    assert set(OURS) <= set(known_kinds())
    for name in OURS:
        assert isinstance(get_kind(name), Kind)
        assert get_kind(name).name == name


def test_a_kind_that_only_a_test_defines(plugged, tmp_path, monkeypatch):
    """A package's kind is found by its entry point; its server starts, is pinged, and is divided among workers."""
    monkeypatch.syspath_prepend(str(plugged))
    kind = get_kind("banner")
    assert isinstance(kind, Kind)
    assert "banner" in known_kinds()
    spec = ServiceSpec(name="greeter", kind="banner", source=Source.EMBEDDED)
    with running(kind, spec, tmp_path) as server:
        assert kind.ping(spec, server.endpoint, 2.0).identity == {"says": "hello"}
        picky = spec.model_copy(update={"options": {"says": "good evening"}})
        assert kind.ping(picky, server.endpoint, 2.0).status is PingStatus.DEGRADED
        with kind.isolate(spec, server.endpoint, "gw0") as part:
            part.reset()
            assert part.endpoint == server.endpoint
        address = kind.address(server.endpoint.host, server.endpoint.port, tls=False)
        assert kind.ping(spec, kind.connect(spec, address), 2.0).is_up


def test_unknown_kind_names_the_nearest(install):
    """A kind that nobody provides is told with the service, the nearest spelling and the way to add one."""
    install("postgis = example_kind:KIND")
    with pytest.raises(UnknownKindError) as caught:
        get_kind("postgress", "database")
    assert caught.value.message == "service 'database' is of kind 'postgress', for which no driver is installed"
    assert caught.value.hint.startswith("Did you mean 'postgres'?")
    assert "envmatrix.kinds" in caught.value.hint


def test_our_names_are_ours(install):
    """A package cannot replace one of our kinds."""
    install("postgres = example_kind:KIND", example_kind="KIND = None")
    assert get_kind("postgres", "a name not cached yet").name == "postgres"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ({}, "No module named 'example_kind'"),
        ({"example_kind": "import no_such_library"}, "No module named 'no_such_library'"),
        ({"example_kind": "OTHER = 1"}, "has no attribute 'KIND'"),
        ({"example_kind": "KIND = object()"}, "does not implement envmatrix.services.Kind"),
    ],
    ids=["no module", "no library", "no name", "no kind"],
)
def test_a_broken_package_is_named(install, module, reason):
    """A package whose kind cannot be had is one line that names it and the reason."""
    install("queue = example_kind:KIND", **module)
    with pytest.raises(UsageError, match=reason) as caught:
        get_kind("queue")
    assert "kind 'queue'" in caught.value.message
    assert "example_kind:KIND" in caught.value.message


def own(place: Place, driver: str, module: str) -> ServiceSpec:
    """Return a service of a kind that the project defines in a module."""
    (place.root / "pyproject.toml").write_text(f"[tool.envmatrix.kinds]\nmqtt = '{driver}'\n")
    (place.root / f"{driver.partition(':')[0]}.py").write_text(module)
    place.declare(
        """
[services.broker]
kind = "mqtt"
source = "process"
command = ["{python}", "-S", "-E", "SERVER", "{broker.port}"]
"""
    )
    return load_environment("local", place.environments, variables={}).services["broker"]


def test_a_projects_own_kind(place: Place, owner: Owner):
    """A kind of a module beside pyproject.toml needs no package: the supervisor starts it, and workers divide it."""
    spec = own(place, "example_kinds_of_shop:KIND", (HERE / "banner_kind.py").read_text())
    state = place.client(owner.run_dir).start(["broker"]).states["broker"]
    assert state.is_up, state
    kind = kind_of(spec)
    assert kind is kind_of(spec)
    assert kind.ping(spec, state.endpoint, 2.0).identity == {"says": "hello"}
    assert place.client(owner.run_dir).ping({"broker": (spec, state.endpoint)}, 1)["broker"].is_up
    with kind.isolate(spec, state.endpoint, "gw0") as part:
        assert part.endpoint == state.endpoint
    environment = load_environment("local", place.environments, variables={})
    assert "driver" not in environment.masked()["services"]["broker"]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("OTHER = 1", "AttributeError: .* has no attribute 'KIND'"),
        ("KIND = object()", "does not implement envmatrix.services.Kind"),
    ],
    ids=["no library", "raises", "no name", "no kind"],
)
def test_a_broken_kind_of_a_project_is_named(place: Place, request, module, reason):
    """One line with the kind, the place and the reason, and what to look at."""
    driver = f"example_broken_{abs(hash(request.node.name))}:KIND"
    spec = own(place, driver, module)
    with pytest.raises(UsageError, match=reason) as caught:
        kind_of(spec)
    assert caught.value.message.startswith(f"kind 'mqtt'{' cannot be loaded from' if 'Kind' not in reason else ':'} ")
    assert driver in caught.value.message
    assert (
        caught.value.hint == f"tool.envmatrix.kinds.mqtt in pyproject.toml names module:NAME, as seen from {place.root}"
    )
