"""Runs the conformance suite honestly, then each of its tests once more under every lie that it must catch.

Loaded with `-p` in a process of its own; writes what became of each test to the file that LIES_RESULTS names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from envmatrix.contracts import Contract
from envmatrix.plugin.process import Process
from envmatrix.plugin.values import build
from envmatrix.services.kinds.http import new_client
from tests.framework.lies.table import LIES, Lie

HONEST = "honest"
BY_NAME = {lie.name: lie for lie in LIES}
ORDER = {name: number for number, name in enumerate([HONEST, *BY_NAME])}

RESULTS: dict[str, dict[str, dict[str, str]]] = {}
"""Lie → test → phase → the error, empty where there was none."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once for each lie that is for it."""
    name = metafunc.function.__name__
    lies = [lie.name for lie in LIES if any(test.partition("[")[0] == name for test in lie.caught_by)]
    metafunc.parametrize("lie", [HONEST, *lies], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    """Drop the parameters that a lie is not for, and group the tests by lie."""
    idle = [item for item in items if not _concerned(item)]
    config.hook.pytest_deselected(items=idle)
    items[:] = sorted((item for item in items if item not in idle), key=lambda item: ORDER[_lie_of(item)])


def _lie_of(item: pytest.Function) -> str:
    return item.callspec.params["lie"]


def _test_of(item: pytest.Function) -> str:
    others = [str(value) for name, value in item.callspec.params.items() if name != "lie"]
    return f"{item.originalname}[{'-'.join(others)}]" if others else item.originalname


def _concerned(item: pytest.Function) -> bool:
    lie = BY_NAME.get(_lie_of(item))
    return lie is None or bool({_test_of(item), item.originalname} & set(lie.caught_by))


@pytest.fixture(autouse=True)
def lie(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell one lie for the length of one test, or none."""
    process = request.config.pluginmanager.getplugin("envmatrix-process")
    if hasattr(request.module, "PATIENCE"):
        monkeypatch.setattr(request.module, "PATIENCE", 0.2)
    told = BY_NAME.get(request.param)
    with ExitStack() as stack:
        if told is not None:
            session = process.session
            session.start(frozenset(session.environment.services))
            # What is seen under a lie is forgotten with it.
            monkeypatch.setattr(session._pings, "_last", dict(session._pings._last))
            _tell(told, process, monkeypatch, stack)
        yield


def _tell(told: Lie, process: Process, monkeypatch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    if told.told_by_services:
        _post(process.session, [told.name])
        stack.callback(_post, process.session, [])
    if told.patch is not None:
        told.patch(monkeypatch, process)
    if told.falsify is not None:
        # The plugin's own check catches most of these at set-up, before the suite can; it is the suite that is tried.
        monkeypatch.setattr("envmatrix.contracts.check", lambda *_: ())
        monkeypatch.setattr("envmatrix.plugin.values.build", _falsified(told, build))


def _post(session: Any, lies: list[str]) -> None:
    for name in ("auth", "backend", "llm"):
        with new_client(session.endpoints[name]) as client:
            client.post(client.base_url.copy_with(path="/lies"), json=lies).raise_for_status()


def _falsified(told: Lie, build: Any) -> Any:
    def built(process: Process, fixture: str, scope: ExitStack) -> Contract:
        value = build(process, fixture, scope)
        return told.falsify(value, process) if told.falsify and fixture == told.fixture else value

    return built


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record the result of each phase of each test."""
    report = yield
    crash = getattr(report.longrepr, "reprcrash", None)
    what = "" if report.passed else f"{report.outcome}: {crash.message if crash else report.longreprtext}"
    RESULTS.setdefault(_lie_of(item), {}).setdefault(_test_of(item), {})[report.when] = what
    return report


def pytest_sessionfinish() -> None:
    """Write the results."""
    Path(os.environ["LIES_RESULTS"]).write_text(json.dumps(RESULTS))
