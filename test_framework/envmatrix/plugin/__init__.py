"""The pytest plugin: `--matrix-environment NAME` runs a suite against a declared environment, and records the run.

pytest comes in here, in every project that has the package installed: so it imports nothing heavy and, without that
option, registers markers and four fixtures that say what to do. `register` has the rest, in the order of its hooks.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Generator
from functools import partial
from typing import Any

import pytest

from envmatrix.plugin import hookspecs
from envmatrix.runs.garbage import paused
from envmatrix.runs.interval import interval

_VARIABLE = "MATRIX_ENVIRONMENT"

MARKERS = {
    "requires(capability, ...)": "skip, with the reason, where the environment has no such capability",
    "leaves(what, ...)": "leaves rows, keys, sockets, tasks, threads or processes behind on purpose, and does not fail for it",
    "destructive": "changes what it cannot undo: runs only where declared, asked for, and never in production",
    "real_services": "uses the environment's services: they are up before it, and a failure is judged by all of them",
    "real_llm": "uses the environment's language model, in the same way",
    "promise(broken, breaker)": "of the conformance suite: what is wrong where the test fails, and who breaks it",
    "staging": "meant for a deployed environment; select with -m",
    "e2e": "end to end: crosses service borders; select with -m",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options, all by names that no other conftest uses."""
    group = parser.getgroup("envmatrix", "cross-environment compatibility matrix")
    group.addoption(
        "--matrix-environment", metavar="NAME", help="run against this declared environment (or MATRIX_ENVIRONMENT)"
    )
    group.addoption(
        "--matrix-environments",
        metavar="DIR",
        help="directory of the declarations (default: [tool.envmatrix] environments, else environments/)",
    )
    group.addoption("--matrix-env-file", metavar="FILE", help="NAME=value lines that fill in ${NAME} in declarations")
    group.addoption(
        "--matrix-set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a key of the declaration, as services.backend.url=https://…; may be repeated",
    )
    group.addoption("--matrix-as", metavar="NAME", help="the name of the run in reports; it is judged as before")
    group.addoption(
        "--matrix-run-file", metavar="PATH", help="write the run file here: the outcome of each test, as JSON Lines"
    )
    group.addoption(
        "--matrix-destructive", action="store_true", help="run tests marked destructive where the environment allows it"
    )
    group.addoption(
        "--matrix-project",
        metavar="DIR",
        help="directory whose [tool.envmatrix] holds (default: the rootdir or above it)",
    )
    group.addoption(
        "--matrix-plain", action="store_true", help="give the suite nothing of what [pytest] of the declaration says"
    )
    group.addoption("--matrix-shard", metavar="I/N", help="run only this part of the suite: 2/4 is the second of four")
    group.addoption("--matrix-durations", metavar="PATH", help="a run file: shards take equally long by its durations")
    group.addoption(
        "--matrix-reused",
        metavar="PATH",
        help="a JSON list of tests whose cells are reused from an earlier run: they are left out",
    )
    group.addoption(
        "--matrix-vacuity",
        metavar="DIR",
        help="run only tests that must fail in the variant, by the supervisor of this directory (set by envmatrix vacuity)",
    )
    group.addoption(
        "--matrix-contexts", action="store_true", help="record beside the run file which functions each test runs"
    )
    group.addoption(
        "--matrix-test-deadline",
        type=_seconds,
        metavar="SECONDS",
        help="end a test that takes longer (default: [tool.envmatrix] test_deadline, else 60; --timeout wins)",
    )
    group.addoption("--matrix-deadline", type=_seconds, metavar="SECONDS", help="end the run, in order, after so long")
    group.addoption(
        "--matrix-sample",
        type=interval,
        metavar="1s",
        help="record every so often what services and tests use, and judge the limits of the declaration",
    )
    parser.addini("matrix_environment", "run against this declared environment", default="")


def _seconds(text: str) -> float:
    """Return a deadline.

    Raises:
        ValueError: it is no number of seconds above zero.
    """
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(text)
    return seconds


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hooks that a project's conftest may implement."""
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, args: list[str], parser: pytest.Parser
) -> Generator[None, object, object]:
    """Give the suite what `[pytest]` declares; record contexts from before the conftests on, which run functions, too."""
    known = early_config.known_args_namespace
    name = known.matrix_environment or os.environ.get(_VARIABLE, "") or early_config.getini("matrix_environment")
    is_run = name and not _only_tells(known)
    if is_run:
        with paused():
            from envmatrix.plugin.given import give, refuse_unknown

        give(early_config, args, name)
    if known.matrix_contexts:
        from envmatrix.plugin.contexts import ContextRecorder

        recorder = ContextRecorder(early_config.rootpath)
        early_config.pluginmanager.register(recorder, "envmatrix-contexts")
        recorder.start()
        early_config.add_cleanup(recorder.stop)
    result = yield
    if is_run:
        refuse_unknown(early_config, parser)
    return result


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and fixtures; the rest only where an environment is selected."""
    for marker, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{marker}: {meaning}")
    from envmatrix.plugin import fixtures

    config.pluginmanager.register(fixtures, "envmatrix-fixtures")
    name = selected_environment(config)
    if not name or _only_tells(config.option):
        return
    config.option.matrix_environment = name
    if (variable := os.environ.pop(_VARIABLE, None)) is not None:
        # The pytests that a test starts are none of this run's.
        config.add_cleanup(partial(os.environ.__setitem__, _VARIABLE, variable))
    with paused():  # of what is imported next to nothing becomes garbage
        from envmatrix.plugin.register import register
        from envmatrix.plugin.remote_workers import usage_errors

    with usage_errors(config):
        register(config, name)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist the environment: it has the controller's arguments, not its variables."""
    node.workerinput[_VARIABLE] = node.config.option.matrix_environment


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Prepare a worker on another machine for pytest-rerunfailures, before that plugin starts."""
    if hasattr(config, "workerinput"):
        from envmatrix.plugin.remote_workers import count_reruns_here

        count_reruns_here(config)


def _only_tells(options: argparse.Namespace) -> bool:
    """Return whether pytest only prints something about itself."""
    return bool(options.help or options.version)


def selected_environment(config: pytest.Config) -> str:
    """Return the selected environment's name: by option, variable or ini, in this order; empty where none is."""
    if hasattr(config, "workerinput"):
        return config.workerinput[_VARIABLE] or ""
    option: str | None = config.getoption("--matrix-environment")
    return option or os.environ.get(_VARIABLE, "") or str(config.getini("matrix_environment"))
