"""The kind `clickhouse`: the real engine behind our HTTP interface, spoken to by the official client."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import clickhouse_connect
import httpx
import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import MissingExtraError, ServiceError, UnreachableError, UsageError
from envmatrix.runs.ping import PingStatus
from envmatrix.services import get_kind
from envmatrix.services.kinds.left import Left
from envmatrix.services.kinds.part_names import part_name
from envmatrix.services.processes.ports import free_port
from tests.framework.services.place import eventually
from tests.framework.services.servers import at, context, fake, process, running, silent, web

pytest.importorskip("chdb", reason="the extra 'clickhouse' is not installed")

KIND = get_kind("clickhouse")
SPEC = ServiceSpec(name="clickhouse", kind="clickhouse", source=Source.EMBEDDED)
RUNNING = "SELECT count() FROM system.processes WHERE query NOT LIKE '%system.processes%'"
CODE = "X-ClickHouse-Exception-Code"
NOON = dt.datetime(2026, 1, 1, 12)  # noqa: DTZ001  ClickHouse's DateTime has the server's zone


@pytest.fixture
def part(server):
    """A database of the test's own."""
    with KIND.isolate(SPEC, server, "gw0") as part:
        yield part


@pytest.fixture
def client(part):
    """The official client on it, as a user makes one."""
    with clickhouse_connect.get_client(dsn=part.endpoint.field("url")) as client:
        yield client


def ask(endpoint, query, **more):
    """Send a query without the official client."""
    auth = (endpoint.user, endpoint.field("password"))
    url = f"http://{endpoint.host}:{endpoint.port}/"
    return httpx.post(url, **{"content": query, "auth": auth, "trust_env": False, **more})


def test_up_with_version(server):
    """A running server is up and says its version."""
    seen = KIND.ping(SPEC, server, 5.0)
    assert (seen.status, seen.detail) == (PingStatus.UP, "")
    assert seen.version.startswith("ClickHouse 2")


@pytest.mark.fault("canary-secret")
def test_password_is_demanded_and_stands_in_no_argument(started):
    """A wrong password is refused with ClickHouse's own code, and the right one stands in no argument."""
    server = started.endpoint
    assert server.field("password") not in " ".join(psutil.Process(started.pid).cmdline())
    for auth in (None, ("default", "wrong-password"), ("admin", server.field("password"))):
        answer = ask(server, "SELECT 1", auth=auth)
        assert (answer.status_code, answer.headers[CODE]) == (403, "516")
    wrong = KIND.connect(SPEC, f"http://default:wrong-password@127.0.0.1:{server.port}")
    seen = KIND.ping(SPEC, wrong, 5.0)
    assert (seen.status, "AUTHENTICATION_FAILED" in seen.detail) == (PingStatus.DEGRADED, True)


@pytest.mark.parametrize("way", ["basic", "headers", "parameters"])
def test_ways_to_log_in(server, way):
    """Basic authentication, ClickHouse's headers and its parameters all open the door."""
    password = server.field("password")
    more = {
        "basic": {"auth": ("default", password)},
        "headers": {"headers": {"X-ClickHouse-User": "default", "X-ClickHouse-Key": password}},
        "parameters": {"params": {"user": "default", "password": password}},
    }[way]
    assert ask(server, "SELECT 40 + 2", **{"auth": None, **more}).text == "42\n"


def test_ping_needs_no_password(server):
    """The ping path answers as ClickHouse's does."""
    assert httpx.get(f"http://127.0.0.1:{server.port}/ping", trust_env=False).text == "Ok.\n"


@pytest.mark.parametrize("compress", [True, "lz4", "zstd", "gzip", False])
def test_insert_and_select(part, compress):
    """Rows go in and come out unchanged, in every compression the client may choose, also in many blocks."""
    with clickhouse_connect.get_client(dsn=part.endpoint.field("url"), compress=compress) as client:
        client.command(
            "CREATE TABLE t (x UInt32, s LowCardinality(String), a Array(Nullable(Float64)), d DateTime) "
            "ENGINE MergeTree ORDER BY x"
        )
        rows = [(number, f"é\n\n;{number % 7}", [1.5, None], NOON) for number in range(10_000)]
        assert client.insert("t", rows).written_rows == len(rows)
        assert client.query("SELECT * FROM t ORDER BY x").result_rows == rows


def test_columns_of_no_rows(client):
    """A result without rows still names its columns and their types."""
    client.command("CREATE TABLE t (x UInt32, s Nullable(String)) ENGINE Memory")
    empty = client.query("SELECT *, {y:Int8} AS y FROM t", parameters={"y": 3})
    assert (empty.column_names, empty.result_rows) == (("x", "s", "y"), [])
    assert [kind.name for kind in empty.column_types] == ["UInt32", "Nullable(String)", "Int8"]


def test_text_formats(client):
    """Rows can be sent as CSV and read as JSON; blank lines and semicolons in values are values."""
    client.command("CREATE TABLE t (x UInt32, s String) ENGINE Memory")
    client.raw_insert("t", ["x", "s"], b'1,"a\n\nb;"\n2,c\n', fmt="CSV")
    client.command("INSERT INTO t VALUES (3, 'd\n\n;e')")
    assert client.raw_query("SELECT s FROM t ORDER BY x", fmt="JSONEachRow") == (
        b'{"s":"a\\n\\nb;"}\n{"s":"c"}\n{"s":"d\\n\\n;e"}\n'
    )


@pytest.mark.parametrize("form", [False, True])
def test_parameters(part, form):
    """Parameters are bound by the server, from the URL or from a form."""
    url = part.endpoint.field("url")
    with clickhouse_connect.get_client(dsn=url, form_encode_query_params=form) as client:
        found = client.query("SELECT {s:String}, {n:Array(UInt8)}", parameters={"s": "it's\n\\", "n": [1, 2]})
    assert found.result_rows == [("it's\n\\", [1, 2])]


def test_settings_hold_for_their_request_only(part, client):
    """A setting in a request holds for it; one that was SET holds for the session; another session has neither."""
    setting = "SELECT toUInt64(getSetting('max_block_size'))"
    usual = client.command(setting)
    assert client.command(setting, settings={"max_block_size": 77}) == 77
    assert client.command(setting) == usual
    client.command("SET max_block_size = 78")
    client.command("CREATE TEMPORARY TABLE notes (x UInt8)")
    assert (client.command(setting), client.command("SELECT count() FROM notes")) == (78, 0)
    with clickhouse_connect.get_client(dsn=part.endpoint.field("url")) as other:
        assert other.command(setting) == usual
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            other.command("SELECT count() FROM notes")


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("SELEC 1", 62, 400),
        ("", 62, 400),
        ("SELECT * FROM missing", 60, 404),
        ("SELECT nothing", 47, 404),
        ("SELECT throwIf(1)", 395, 500),
        ("INSERT INTO missing FORMAT CSV\n1\n", 60, 404),
        ("INSERT INTO FUNCTION null('x UInt8') FORMAT CSV\nno number\n", 117, 400),
    ],
)
def test_errors(server, query, code, status):
    """An error has ClickHouse's code in its header and once in its text, and the status a server gives it."""
    answer = ask(server, query)
    assert (answer.status_code, answer.headers[CODE]) == (status, str(code))
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert answer.text.count("(version ") == 1


def test_client_errors(client):
    """The official client raises its own error with the code."""
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as caught:
        client.query("SELECT * FROM missing")
    assert caught.value.code == 60


def test_a_bad_setting_does_not_stay(server):
    """A refused setting fails its own request; what was set before it does not stay for the next."""
    setting = "SELECT toUInt64(getSetting('max_block_size'))"
    usual = ask(server, setting).text
    both = {"session_id": "mine", "max_block_size": "77", "no_such_setting": "1"}
    assert ask(server, setting, params=both).headers[CODE] == "115"
    assert ask(server, setting, params={"session_id": "mine"}).text == usual


@contextlib.contextmanager
def sleeping(endpoint, **more):
    """Keep a query running while the body runs: it is in the engine by then, and ended afterwards."""

    def sleep():
        with contextlib.suppress(httpx.HTTPError):
            ask(endpoint, "SELECT sleep(0.1) FROM numbers(300) SETTINGS max_block_size = 1", timeout=30, **more)

    thread = threading.Thread(target=sleep)
    thread.start()
    assert eventually(lambda: ask(endpoint, RUNNING).text == "1\n")
    yield
    with contextlib.suppress(httpx.HTTPError):  # the body may have stopped the server
        ask(endpoint, "KILL QUERY WHERE query LIKE 'SELECT sleep%' ASYNC")
    thread.join()


def test_a_busy_session_is_told(server):
    """Two requests of one session at once: the second is refused, as by a server."""
    with sleeping(server, params={"session_id": "mine"}):
        assert ask(server, "SELECT 1", params={"session_id": "mine"}).headers[CODE] == "373"
        assert ask(server, "SELECT 1", params={"session_id": "other"}).text == "1\n"


def test_no_such_compression(server):
    """A body in a compression that the server does not know is refused, not misread."""
    answer = ask(server, b"xx", headers={"Content-Encoding": "snappy"})
    assert answer.headers[CODE] == "48"


@pytest.mark.fault("cross-worker-collision")
@pytest.mark.fault("concurrent-staging-runs")
@pytest.mark.fault("leaked-resources")
def test_workers_are_apart(server):
    """Two workers of one name, of two runs, see nothing of each other; a reset empties its own part only."""
    table = r"`my\`table`"
    with (
        KIND.isolate(SPEC, server, "gw0") as mine,
        KIND.isolate(SPEC, server, "gw0") as yours,
        clickhouse_connect.get_client(dsn=mine.endpoint.field("url")) as me,
        clickhouse_connect.get_client(dsn=yours.endpoint.field("url")) as you,
    ):
        for client in (me, you):
            client.command(f"CREATE TABLE {table} (x UInt8) ENGINE MergeTree ORDER BY x")
            client.command(f"INSERT INTO {table} VALUES (1)")
        assert tuple(map(str, mine.reset())) == ("1 row in table my`table",)
        assert [client.command(f"SELECT count() FROM {table}") for client in (me, you)] == [0, 1]
        assert mine.reset() == ()
    assert "envmatrix" not in ask(server, "SHOW DATABASES").text


@pytest.mark.fault("lock-held-by-failed-test")
def test_a_query_that_runs_on_is_ended_and_said(server):
    """A query that a test left running writes nothing into the next one's tables; another worker's goes on."""
    query = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(number)"
    with KIND.isolate(SPEC, server, "gw0") as part, KIND.isolate(SPEC, server, "gw1") as other:
        databases = [each.endpoint.database for each in (part, other)]
        with ThreadPoolExecutor() as pool:
            answers = [pool.submit(ask, server, query, params={"database": name}, timeout=60) for name in databases]
            assert eventually(lambda: ask(server, RUNNING).text == "2\n")
            assert part.reset() == (Left("statement", 1, " not finished", is_unfinished=True),)
            assert part.reset() == ()
            assert other.reset() == (Left("statement", 1, " not finished", is_unfinished=True),)
            assert [answer.result().headers[CODE] for answer in answers] == ["394", "394"]


def test_a_server_that_dies_is_unreachable(server):
    """A server that is gone is told as that."""
    gone = at(server, free_port())
    with pytest.raises(UnreachableError, match="service 'clickhouse' does not answer: connection refused"):
        KIND.isolate(SPEC, gone, "gw0").__enter__()


def test_what_a_killed_run_left_on_a_remote_server_is_dropped(server, monkeypatch):
    """The next worker there drops our databases of long ago, and no younger one."""
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now - 25 * 3600)
        old = part_name("gw0")
    young = part_name("gw0")
    remote = SPEC.model_copy(update={"source": Source.REMOTE})
    with clickhouse_connect.get_client(dsn=server.field("url")) as client:
        for name in (old, young):
            client.command(f"CREATE DATABASE {name}")
        with KIND.isolate(remote, server, "gw0"):
            databases = client.command("SHOW DATABASES")
        client.command(f"DROP DATABASE {young}")
    assert young in databases
    assert old not in databases


def test_a_server_that_dies_took_our_part_or_keeps_it(tmp_path):
    """At a worker's end a dead server of ours is no error; a remote one that does not answer keeps a database."""
    remote = SPEC.model_copy(update={"source": Source.REMOTE})
    with running(KIND, SPEC, tmp_path) as server:
        ours, far = (KIND.isolate(spec, server.endpoint, "gw0") for spec in (SPEC, remote))
        ours.__enter__()
        far.__enter__()
    ours.__exit__(None, None, None)
    with pytest.raises(ServiceError, match="connection refused; left behind on it: the database envmatrix_"):
        far.__exit__(None, None, None)


@pytest.mark.fault("hung-accept")
def test_hung_accept(server):
    """A server that never answers is down by the deadline."""
    with fake(silent) as port:
        assert KIND.ping(SPEC, at(server, port), 0.2).detail == "timeout after 0.2 s"


@pytest.mark.fault("health-200-wrong-service")
def test_another_service(server):
    """A web server that answers 200 to anything is not ClickHouse."""
    with web({"/ping": (200, "pong")}) as site:
        assert KIND.ping(SPEC, at(server, site.port), 5.0).detail == "GET /ping answers 200: 'pong'"


def test_a_stop_is_a_stop(tmp_path):
    """Its stop signal ends it in the middle of a query."""
    with context(tmp_path) as place:
        launch = KIND.launch(SPEC, place)
        with process(launch) as started:
            while not KIND.ping(SPEC, launch.endpoint, 5.0).is_up:
                time.sleep(0.01)
            with sleeping(launch.endpoint):
                started.send_signal(launch.stop_signal)
                assert started.wait(2) == -signal.SIGTERM


def test_connect_and_address():
    """The path of the URL is the database; what no client can use is refused."""
    endpoint = KIND.connect(SPEC, "https://me:pass-word@host/shop")
    assert (endpoint.user, endpoint.port, endpoint.database) == ("me", 8443, "shop")
    assert KIND.connect(SPEC, KIND.address("127.0.0.1", 7, tls=False)).user == "default"
    with pytest.raises(UsageError, match="http://HOST:PORT"):
        KIND.connect(SPEC, "clickhouse://host")


def test_missing_wheel_is_named(tmp_path, monkeypatch):
    """What is not installed is one line with the command that installs it."""
    monkeypatch.setitem(sys.modules, "chdb", None)
    with context(tmp_path) as place, pytest.raises(MissingExtraError, match=r"pip install 'envmatrix\[clickhouse\]'"):
        KIND.launch(SPEC, place)
