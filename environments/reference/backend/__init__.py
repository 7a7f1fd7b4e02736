"""Threads, agents and per-user state over REST and WebSocket: `python -m environments.reference.backend`."""

import sys

# httpx imports these where they are installed, for a command line and an event loop that are not ours: that would be a
# quarter of what the whole reference system imports. Who needs them later still finds them.
_UNUSED = {"rich", "trio"} - sys.modules.keys()
sys.modules.update(dict.fromkeys(_UNUSED))  # type: ignore[arg-type]  # None: not to be found

import httpcore  # noqa: E402, F401  httpx imports it with the first client; a fork server should have it before it forks
import httpx  # noqa: E402, F401

for _name in _UNUSED:
    del sys.modules[_name]

from environments.reference.backend.app import main  # noqa: E402

__all__ = ["main"]
