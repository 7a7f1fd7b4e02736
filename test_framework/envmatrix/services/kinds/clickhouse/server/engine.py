"""The one engine of this process, and the sessions that are open on it.

Each request has its own connection to the engine, as it has on a server; a `session_id` keeps one, with its settings
and temporary tables.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from .connection import Connection, QueryError

_MAX_SESSIONS = 256


class Engine:
    """The one engine of this process, and the sessions that are open on it."""

    def __init__(self, directory: str) -> None:
        """Start it on a directory; importing chdb is most of the time that takes."""
        # chdb can do without pyarrow, which costs half of its import and serves only results as Python objects.
        sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]
        import chdb

        self._connect: Callable[[], Any] = lambda: chdb.connect(directory)
        self._first = Connection(self._connect())  # keeps the engine up between two requests
        self._sessions: OrderedDict[str, Connection] = OrderedDict()
        self._lock = threading.Lock()
        facts, _ = self._first.run(b"SELECT version(), timezone()", "TabSeparated", {})
        self.version, self.timezone = facts.decode().rstrip("\n").split("\t")

    @contextmanager
    def connection(self, session_id: str) -> Iterator[Connection]:
        """Lend a session's connection, or a fresh one.

        Raises:
            QueryError: another request of that session is not done.
        """
        if not session_id:
            with closing(Connection(self._connect())) as fresh:
                yield fresh
            return
        session = self._session(session_id)
        if not session.busy.acquire(blocking=False):
            raise QueryError(373, f"Code: 373. DB::Exception: Session {session_id} is locked. (SESSION_IS_LOCKED)")
        try:
            yield session
        finally:
            session.busy.release()

    def _session(self, session_id: str) -> Connection:
        with self._lock:
            if session_id not in self._sessions:
                self._sessions[session_id] = Connection(self._connect())
            self._sessions.move_to_end(session_id)
            while len(self._sessions) > _MAX_SESSIONS and not next(iter(self._sessions.values())).busy.locked():
                self._sessions.popitem(last=False)[1].close()
            return self._sessions[session_id]
