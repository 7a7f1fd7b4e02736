"""Gives the suite what `[pytest]` declares, before pytest reads the first conftest: services, arguments, variables."""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from envmatrix.exceptions import ServiceError, UsageError
from envmatrix.git import full_commit
from envmatrix.masking import MASKER, one_line, secrets_among, secrets_in_command
from envmatrix.plugin.process import Process
from envmatrix.plugin.remote_workers import usage_errors
from envmatrix.plugin.selection import Selection, select

if TYPE_CHECKING:
    from envmatrix.plugin.session import EnvironmentSession

_ARGUMENTS = "ENVMATRIX_ARGUMENTS"
"""The variable by which xdist's workers on this machine get the arguments; it is gone before they read a conftest."""
_SELECTION = pytest.StashKey[Selection]()
_PROCESS = pytest.StashKey[Process]()
_GIVEN = pytest.StashKey[list[str]]()
"""The arguments that were given, filled in."""


def give(config: pytest.Config, args: list[str], name: str) -> None:
    """Start what `[pytest]` names, then add its arguments to pytest's and its variables to the process's.

    A worker of xdist gets what its controller got: the same services. What is not named is not started.

    Raises:
        UsageError: pytest's: the environment is not declared, or a service did not start.
    """
    if _is_worker():
        if (text := os.environ.pop(_ARGUMENTS, None)) is not None:
            _add(config, args, json.loads(text))
        return
    with _known_options(config), usage_errors(config):
        selection = config.stash[_SELECTION] = select(config, name)
        if not selection.environment.pytest.gives:
            return
        session = _process_of(config, selection).session
        environment = selection.environment
        # What stands in for a remote deployment also fills in the variables of the table.
        names = environment.given if environment.twin is None else frozenset(environment.services)
        try:
            session.demand_endpoints(names)
        except ServiceError as error:  # its hint is the end of a log
            raise UsageError(one_line(error.message), f"{_table(config)} names it") from None
        words, variables = _filled(session, selection)
    before = {each: os.environ.get(each) for each in variables}
    os.environ.update(variables)
    config.add_cleanup(partial(_restore, before))
    _add(config, args, words)


def refuse_unknown(config: pytest.Config, parser: pytest.Parser) -> None:
    """Refuse a declared argument that neither pytest nor a conftest knows: pytest's own error would show its value.

    Raises:
        UsageError: there is one.
    """
    words = config.stash.get(_GIVEN, [])
    try:
        unknown = parser.parse_known_and_unknown_args(words, namespace=copy.copy(config.option))[1]
    except pytest.UsageError as error:
        problem = str(error).partition("error: ")[2].partition("\n")[0]
        raise pytest.UsageError(f"args of {_table(config)}: {one_line(problem)}") from None
    if unknown:
        option = unknown[0].partition("=")[0]
        raise pytest.UsageError(f"args of {_table(config)}: neither pytest nor a conftest here knows {option}")


def selected(config: pytest.Config, name: str) -> Process:
    """Return the process of the selected environment, its services up already where `[pytest]` names some.

    Raises:
        EnvmatrixError: the environment is not declared, or declared wrongly; or what it gives cannot be given any more.
    """
    selection = config.stash.get(_SELECTION, None) or select(config, name)
    table = selection.environment.pytest
    if table.gives and _GIVEN not in config.stash:
        what = f"[pytest] of {selection.environment.file.name} cannot reach pytest here"
        how = "Neither a worker on another machine gets it, nor a pytest whose conftest loads our plugin: use -p envmatrix"
        raise UsageError(what, how)
    config.option.markexpr = table.selecting(config.option.markexpr)
    return _process_of(config, selection)


def hand_to_workers(config: pytest.Config) -> None:
    """Let the workers of xdist have the arguments, by the environment that they inherit: a command line is public."""
    if _GIVEN in config.stash:
        os.environ[_ARGUMENTS] = json.dumps(config.stash[_GIVEN])
        config.add_cleanup(partial(_restore, {_ARGUMENTS: None}))


def _process_of(config: pytest.Config, selection: Selection) -> Process:
    if _PROCESS not in config.stash:
        config.stash[_PROCESS] = Process(config, selection)
        config.add_cleanup(config.stash[_PROCESS].close)
    return config.stash[_PROCESS]


def _filled(session: EnvironmentSession, selection: Selection) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the variables, what is absent filled in with nothing; their secrets are masked from now on."""
    environment = session.environment

    def lookup(name: str, field: str) -> str:
        if field:
            endpoint = session.address(name)
            return endpoint.field(field) if endpoint else ""
        known = {"python": sys.executable, "environment": environment.declared_name}
        return known.get(name) or full_commit(selection.project.root, "HEAD") or "unknown"

    words, variables = environment.pytest.filled(lookup)
    MASKER.add_all(environment.secrets())
    MASKER.add_all(secrets_among(variables))
    return words, variables


def _add(config: pytest.Config, args: list[str], words: list[str]) -> None:
    """Add arguments after those of the project's settings and before those of the command line, which win."""
    MASKER.add_all(secrets_in_command(words))
    config.stash[_GIVEN] = words
    own = len(args) - len(config.invocation_params.args)
    args[own:own] = words


def _is_worker() -> bool:
    """Return whether this is a worker of xdist; a pytest that a test in a worker starts has the variable, too."""
    return "PYTEST_XDIST_WORKER" in os.environ and sys.argv[:1] == ["-c"]


@contextmanager
def _known_options(config: pytest.Config) -> Iterator[None]:
    """Let `getoption` find our options before pytest has parsed them for good."""
    ours = {name: value for name, value in vars(config.known_args_namespace).items() if name.startswith("matrix_")}
    vars(config.option).update(ours)
    try:
        yield
    finally:
        for name in ours:
            delattr(config.option, name)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def _table(config: pytest.Config) -> str:
    selection = config.stash.get(_SELECTION, None)
    return f"[pytest] of {selection.environment.file.name}" if selection else "[pytest]"
