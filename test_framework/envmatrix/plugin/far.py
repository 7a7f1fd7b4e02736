"""Workers of xdist on other machines (`--tx ssh=…`): what the controller hands over, and what they make of it.

The environment stays with the controller. A far worker has a checkout of its own, and gets the values of the declaration's
variables and a way to ask for services, both through xdist's own connection.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envmatrix.exceptions import EnvmatrixError, UsageError

if TYPE_CHECKING:
    from envmatrix.plugin.selection import Selection
    from envmatrix.services.supervisor import Relay, RelayedClient

HANDED = "envmatrix_handed"
"""The key under which the controller hands it over."""
_FAR = pytest.StashKey["Far"]()

_RESTARTS = 4
"""For each worker: xdist's own number."""
_RERUNS = "rerunfailures"
"""The name of pytest-rerunfailures among the plugins."""


@dataclass(frozen=True, slots=True)
class Far:
    """What a worker on another machine was handed."""

    environment: str
    directory: str
    """Of the declarations, relative to the project's root where it is below."""
    digest: str
    """SHA-256 of the declaration as the controller read it."""
    variables: Mapping[str, str] = field(repr=False)
    """Those that the declaration asks for, in the clear."""
    channel: Any
    """To the controller's relay."""

    @property
    def client(self) -> RelayedClient:
        """Ask for services."""
        from envmatrix.services.supervisor import RelayedClient

        return RelayedClient(self.channel)

    def demand_same(self, file: Path) -> None:
        """Make sure that the checkout here declares what the controller's does.

        Raises:
            UsageError: it does not.
        """
        if not file.is_file() or _digest(file) != self.digest:
            what = f"{file} on {socket.gethostname()} is not the declaration that the controller read"
            raise UsageError(what, "Check out the same commit there, and name that directory with chdir= in --tx")


def is_far(spec: Any) -> bool:
    """Return whether what runs behind an execnet spec shares neither our files nor our account, as far as one can know.

    ssh to this very machine is far, too: it may be anybody's account there, with a home of its own.
    """
    return not spec.popen or bool(spec.via)


def hand_over(node: Any, selection: Selection, relay: Relay) -> None:
    """Give a new worker on another machine what it needs."""
    environment, root = selection.environment, selection.project.root
    if relay.refusal:  # whoever takes the place of a worker that could not begin cannot either
        pytest.exit(f"a worker on another machine refuses: {relay.refusal}", pytest.ExitCode.USAGE_ERROR)
    inside = selection.directory.is_relative_to(root)
    node.workerinput[HANDED] = {
        "environment": environment.name,
        "directory": str(selection.directory.relative_to(root) if inside else selection.directory),
        "digest": _digest(environment.file),
        "variables": dict(selection.variables),
        "channel": relay.channel(node.gateway),
    }


def handed(config: pytest.Config) -> Far | None:
    """Return what this process was handed; `None` where it is no worker on another machine."""
    if HANDED in (workerinput := getattr(config, "workerinput", {})):
        config.stash[_FAR] = Far(**workerinput.pop(HANDED))  # taken away: nothing is to show it
    return config.stash.get(_FAR, None)


@contextmanager
def refusing(config: pytest.Config) -> Iterator[None]:
    """Let an error of ours be one of usage; a worker on another machine tells the controller, too, which would replace it.

    Raises:
        UsageError: pytest's, in place of ours.
    """
    try:
        yield
    except EnvmatrixError as error:
        if (far := handed(config)) is not None:
            far.client.refuse(str(error))
        raise pytest.UsageError(str(error)) from None


def prepare(config: pytest.Config) -> None:
    """Have xdist replace as many workers as it does with `-n`: with `--tx` it knows no end, and one may never begin.

    Raises:
        UsageError: the command line has paths, which xdist would look for in what it sends.
    """
    specs: list[str] = getattr(config.option, "tx", None) or []
    if not specs:
        return
    if config.option.maxworkerrestart is None:
        count = sum(int(number) if (number := spec.partition("*")[0]).isdecimal() else 1 for spec in specs)
        config.option.maxworkerrestart = str(_RESTARTS * count)
    sends = config.option.rsyncdir or config.getini("rsyncdirs")
    if not sends and any("chdir=" in spec or "popen" not in spec for spec in specs):
        here = config.invocation_params.dir
        for word in config.invocation_params.args:
            if (here / str(word).partition("::")[0]).exists():
                how = "Name tests by testpaths or -k, and write --option=value"
                raise UsageError(f"{word} is a path on this machine, of which workers elsewhere know nothing", how)


def keep_reruns_here(config: pytest.Config) -> None:
    """Let pytest-rerunfailures count the tries on this machine: the port that it would ask is on the controller's only."""
    if handed(config) is None or not config.pluginmanager.hasplugin(_RERUNS):
        return
    from pytest_rerunfailures import ServerStatusDB  # type: ignore[import-untyped]  # it ships no types

    counts = ServerStatusDB()
    token = getattr(counts, "token", "")  # since 16.6.1
    config.workerinput |= {"sock_port": counts.sock_port, "statusdb_token": token}  # type: ignore[attr-defined]  # xdist's


def tell_reruns(config: pytest.Config, test: str) -> None:
    """Tell pytest-rerunfailures how often a test may be tried that crashed another machine: its worker only told itself."""
    if config.pluginmanager.hasplugin(_RERUNS) and (reruns := config.getoption("reruns")):
        config.failures_db.set_test_reruns(test, reruns)  # type: ignore[attr-defined]  # the plugin's


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
