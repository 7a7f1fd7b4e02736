"""ClickHouse over its HTTP interface; embedded, it is the real engine of chdb behind the program `server`."""

from __future__ import annotations

import json
import os
import sys
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import UnreachableError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Ping
from envmatrix.services.endpoint import Endpoint, at_database, endpoint_at
from envmatrix.services.kinds.base import Isolated, StartContext
from envmatrix.services.kinds.isolation import removing
from envmatrix.services.kinds.left import Left, rows_left, unfinished
from envmatrix.services.kinds.part_names import part_name, stale
from envmatrix.services.probes.http import HttpProbe
from envmatrix.services.probes.probe import Observation, probe
from envmatrix.services.probes.reason import NoAnswerError, RefusedError, reason_of
from envmatrix.services.processes.launch import Launch
from envmatrix.services.processes.wheels import need

_RESET_SECONDS = 10.0
_REFUSALS = frozenset({401, 403, 404})
"""Statuses of a wrong user or password, and of an unknown database."""

_LEFT_OVER = """
SELECT name, total_rows FROM system.tables
WHERE database = currentDatabase() AND NOT is_temporary AND coalesce(total_rows, 0) > 0 AND engine NOT LIKE '%View'
UNION ALL
SELECT '' AS name, count() AS total_rows FROM system.processes
WHERE current_database = currentDatabase() AND query_id <> queryID() HAVING total_rows > 0
FORMAT JSONCompact
"""
"""The tables with rows, and without a name the number of this database's queries that still run."""
_END_QUERIES = "KILL QUERY WHERE current_database = currentDatabase() AND query_id <> queryID() SYNC"


class ClickHouseKind:
    """`kind = "clickhouse"`. A worker gets a database of its own."""

    name = "clickhouse"

    def launch(self, spec: ServiceSpec, context: StartContext) -> Launch:
        """Return a process that runs the engine and serves its HTTP interface."""
        need("chdb", "clickhouse")
        password = context.password.get_secret_value()
        location = f"default:{urllib.parse.quote(password)}@{context.host}:{context.port}/default"
        # From its own directory, so that nothing else of our package is imported.
        command = (sys.executable, "-P", "-m", "server", "--host", context.host, "--port", str(context.port))
        return Launch(
            endpoint=self.connect(spec, f"http://{location}"),
            command=(*command, "--data", str(context.state_dir / "data")),
            env={"PATH": os.defpath, "PYTHONPATH": str(Path(__file__).parent), "CLICKHOUSE_PASSWORD": password},
        )

    def address(self, host: str, port: int, *, tls: bool) -> str:
        """Return the URL of the HTTP interface."""
        return f"{'https' if tls else 'http'}://{host}:{port}"

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at the http(s) URL of the HTTP interface; its path is the database."""
        return endpoint_at(spec, url, schemes={"http": 8123, "https": 8443}, user="default", database="default")

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Ask `/ping`, then, logged in, for the version."""

        def observe() -> Observation:
            with HttpProbe(endpoint, deadline) as http:
                pong = http.request(_root(endpoint) + "/ping")
                if pong.status != 200 or pong.text.strip() != "Ok.":  # noqa: PLR2004  OK
                    raise NoAnswerError(f"GET /ping answers {pong.status}: {pong.excerpt!r}")
                version = f"ClickHouse {query(http, endpoint, 'SELECT version()').strip()}"
                return Observation(version, skew=pong.whole_skew, certificate=http.certificate)

        return probe(spec, deadline, observe)

    @contextmanager
    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> Iterator[Isolated]:
        """Create a database, and drop it at the end."""
        name = part_name(worker)
        if spec.outlives_run:
            self.drop_parts(spec, endpoint, stale)
        _execute(spec, endpoint, f"CREATE DATABASE {name}")
        try:
            yield _WorkerDatabase(spec, at_database(endpoint, name))
        finally:
            with removing(spec, f"the database {name}"):
                _execute(spec, endpoint, f"DROP DATABASE IF EXISTS {name} SYNC")

    def drop_parts(self, spec: ServiceSpec, endpoint: Endpoint, choose: Callable[[Iterable[str]], list[str]]) -> None:
        """Drop the chosen databases, as far as we may."""
        query = "SELECT name FROM system.databases WHERE startsWith(name, 'envmatrix_') FORMAT JSONCompact"
        (names,) = _execute(spec, endpoint, query)
        for name in choose(row[0] for row in json.loads(names)["data"]):
            with suppress(UnreachableError):  # another user's, or another run is dropping it
                _execute(spec, endpoint, f"DROP DATABASE IF EXISTS {name} SYNC")


class _WorkerDatabase:
    """A worker's own database."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._spec = spec

    def reset(self) -> tuple[Left, ...]:
        """End the queries that still run and empty the tables that have rows; return their number, and these tables."""
        (text,) = _execute(self._spec, self.endpoint, _LEFT_OVER)
        counts = [(name, int(number)) for name, number in json.loads(text)["data"]]  # a 64-bit number comes as a text
        running = sum(number for name, number in counts if not name)
        tables = [(name, number) for name, number in counts if name]
        names = [name.replace("\\", "\\\\").replace("`", "\\`") for name, _ in tables]
        if running:
            with suppress(UnreachableError):  # not every user may end a query
                _execute(self._spec, self.endpoint, _END_QUERIES)
        if names:
            _execute(self._spec, self.endpoint, *(f"TRUNCATE TABLE `{name}`" for name in names))
        return (*unfinished("statement", running), *rows_left(tables))


def _root(endpoint: Endpoint) -> str:
    parts = urllib.parse.urlsplit(endpoint.url.get_secret_value())
    return parts._replace(path="", query="", fragment="").geturl()


def query(http: HttpProbe, endpoint: Endpoint, statement: str) -> str:
    """Return a server's answer to one statement, logged in."""
    answer = http.request(
        f"{_root(endpoint)}/?{urllib.parse.urlencode({'database': endpoint.database})}",
        method="POST",
        headers={"X-ClickHouse-User": endpoint.user, "X-ClickHouse-Key": endpoint.password.get_secret_value()},
        content=statement.encode(),
    )
    if answer.status != 200:  # noqa: PLR2004  OK
        raise (RefusedError if answer.status in _REFUSALS else NoAnswerError)(f"refuses: {answer.text}")
    return answer.text


def _execute(spec: ServiceSpec, endpoint: Endpoint, *statements: str) -> list[str]:
    try:
        with HttpProbe(endpoint, _RESET_SECONDS) as http:
            return [query(http, endpoint, statement) for statement in statements]
    except (NoAnswerError, OSError, *HttpProbe.ERRORS) as error:
        reason = MASKER.mask(reason_of(error, _RESET_SECONDS))
        raise UnreachableError(spec.name, f"does not answer: {reason}") from error


KIND = ClickHouseKind()
