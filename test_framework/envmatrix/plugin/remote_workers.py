"""Workers of xdist on other machines (`--tx ssh=…`): what the controller gives them, and what is different for them.

The environment stays with the controller. A remote worker has a checkout of its own, and gets the values of the
declaration's variables and a way to ask for services, both through xdist's own connection.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envmatrix.environments.declaration import read_declaration
from envmatrix.exceptions import EnvmatrixError, UsageError

if TYPE_CHECKING:
    from envmatrix.services.supervisor import RelayedClient

_KEY = "envmatrix_remote"
"""The key of the input in xdist's `workerinput`."""
_INPUT = pytest.StashKey["RemoteInput"]()

_RESTARTS = 4
"""For each worker: xdist's own number."""
_RERUNS = "rerunfailures"
"""The name of pytest-rerunfailures among the plugins."""


@dataclass(frozen=True, slots=True)
class RemoteInput:
    """What the controller gives a worker on another machine."""

    directory: str
    """The directory of the declarations, relative to the project's root where it is below."""
    digest: str
    """SHA-256 of the declaration, and of what it extends, as the controller read it."""
    variables: Mapping[str, str] = field(repr=False)
    """The variables that the declaration uses, in the clear."""
    channel: Any
    """Leads to the controller's relay."""

    def hand_to(self, node: Any) -> None:
        """Give it to a new worker."""
        node.workerinput[_KEY] = {name: getattr(self, name) for name in self.__slots__}

    @property
    def client(self) -> RelayedClient:
        """Return the client of the controller's supervisor."""
        from envmatrix.services.supervisor import RelayedClient

        return RelayedClient(self.channel)

    def demand_same(self, file: Path) -> None:
        """Make sure that the checkout here declares what the controller's does.

        Raises:
            UsageError: it does not.
        """
        try:
            is_same = digest(read_declaration(file).paths) == self.digest
        except EnvmatrixError:
            is_same = False
        if not is_same:
            what = f"{file} on {socket.gethostname()} is not the declaration that the controller read"
            raise UsageError(what, "Check out the same commit there, and name that directory with chdir= in --tx")


def is_remote(spec: Any) -> bool:
    """Return whether a worker behind an execnet spec may share neither our files nor our account.

    ssh to this very machine counts as remote, too: it may be another account, with a home of its own.
    """
    return not spec.popen or bool(spec.via)


def remote_input(config: pytest.Config) -> RemoteInput | None:
    """Return what the controller gave this process; `None` where it is no worker on another machine."""
    if _KEY in (workerinput := getattr(config, "workerinput", {})):
        config.stash[_INPUT] = RemoteInput(**workerinput.pop(_KEY))  # removed: nothing is to show it
    return config.stash.get(_INPUT, None)


@contextmanager
def usage_errors(config: pytest.Config) -> Iterator[None]:
    """Turn our errors into pytest's usage errors; a remote worker also tells the controller, which would replace it.

    Raises:
        UsageError: pytest's, in place of ours.
    """
    try:
        yield
    except EnvmatrixError as error:
        if (remote := remote_input(config)) is not None:
            remote.client.refuse(str(error))
        raise pytest.UsageError(str(error)) from None


def prepare_tx(config: pytest.Config) -> None:
    """Limit the restarts of workers with `--tx` as xdist does with `-n`: one that can never begin has no end otherwise.

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


def count_reruns_here(config: pytest.Config) -> None:
    """Let pytest-rerunfailures count tries on this machine: the port that it would ask is the controller's."""
    if remote_input(config) is None or not config.pluginmanager.hasplugin(_RERUNS):
        return
    from pytest_rerunfailures import ServerStatusDB  # type: ignore[import-untyped]  # it ships no types

    counts = ServerStatusDB()
    token = getattr(counts, "token", "")  # since 16.6.1
    config.workerinput |= {"sock_port": counts.sock_port, "statusdb_token": token}  # type: ignore[attr-defined]  # xdist's


def limit_reruns(config: pytest.Config, test: str) -> None:
    """Tell pytest-rerunfailures how often to try a test that crashed a remote worker, which only told itself."""
    if config.pluginmanager.hasplugin(_RERUNS) and (reruns := config.getoption("reruns")):
        config.failures_db.set_test_reruns(test, reruns)  # type: ignore[attr-defined]  # the plugin's


def digest(files: Iterable[Path]) -> str:
    """Return the SHA-256 of some files, one after the other."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
