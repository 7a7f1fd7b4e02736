"""The kind `mysql`, against Debian's MariaDB server."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
import trustme

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import MissingExtraError, ServiceError, UnreachableError, UsageError
from envmatrix.runs.ping import PingStatus
from envmatrix.services import Endpoint, get_kind
from envmatrix.services.kinds.part_names import of_run
from envmatrix.services.processes.ports import free_port
from tests.framework.services.place import eventually
from tests.framework.services.servers import at, fake, says, silent

pytestmark = pytest.mark.skipif(
    not (shutil.which("mariadb-install-db") and shutil.which("my_print_defaults")),
    reason="Debian's mariadb-server is not installed",
)

KIND = get_kind("mysql")
SPEC = ServiceSpec(name="database", kind="mysql", source=Source.PROCESS, command=["mariadbd"])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """What signed the server's certificate."""
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> Iterator[Endpoint]:
    """A MariaDB server, up, whose root has a password."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="em", dir=memory if memory.is_dir() else None) as name:
        data, port = Path(name) / "data", free_port()
        certificate = authority.issue_cert("127.0.0.1", not_after=dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
        certificate.private_key_and_cert_chain_pem.write_to_path(f"{name}/server.pem")
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db", "--user=root"]
        subprocess.run([*install, "--auth-root-authentication-method=normal"], check=True, capture_output=True)
        options = ["--user=root", f"--datadir={data}", f"--socket={name}/s", "--bind-address=127.0.0.1"]
        tls = [f"--ssl-cert={name}/server.pem", f"--ssl-key={name}/server.pem"]
        command = [shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults", *options, *tls]
        light = ["--skip-name-resolve", "--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0"]
        with subprocess.Popen([*command, *light, f"--port={port}"], stderr=subprocess.DEVNULL) as process:
            try:
                plain = KIND.connect(SPEC, KIND.address("127.0.0.1", port, tls=False))
                assert eventually(lambda: KIND.ping(SPEC, plain, 2.0).is_up, 30), KIND.ping(SPEC, plain, 2.0)
                run(plain, "ALTER USER root@127.0.0.1 IDENTIFIED BY 'pass/word'")
                yield KIND.connect(SPEC, f"mysql://root:pass%2Fword@127.0.0.1:{port}")
            finally:
                process.kill()


def connected(endpoint: Endpoint, *, autocommit: bool = True) -> pymysql.Connection:
    """Return a connection as a product would have it."""
    return pymysql.connect(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        password=endpoint.field("password"),
        database=endpoint.database or None,
        autocommit=autocommit,
    )


def run(endpoint: Endpoint, *statements: str) -> list[tuple[object, ...]]:
    """Run statements; return the rows of the last."""
    with connected(endpoint) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def test_up_with_version(server):
    """A running server is up and says its version, by either name of the scheme."""
    seen = KIND.ping(SPEC, server, 2.0)
    assert (seen.status, seen.detail, seen.certificate) == (PingStatus.UP, "", None)
    assert seen.version.startswith("MariaDB 1")
    url = server.field("url").replace("mysql:", "mariadb:")
    assert KIND.ping(SPEC, KIND.connect(SPEC, url), 2.0).is_up


def test_tls_is_spoken_where_it_is_declared(server, authority, tmp_path):
    """With `ca_file` the certificate is verified and its end told; by `ssl-mode`, a stranger's is refused."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    known = server.model_copy(update={"ca_file": str(tmp_path / "ca.pem")})
    seen = KIND.ping(SPEC, known, 2.0)
    assert (seen.detail, seen.certificate.expires) == ("", dt.datetime(2040, 1, 1, tzinfo=dt.UTC).timestamp())
    url = f"{server.field('url')}/?ssl-mode=VERIFY_IDENTITY"
    stranger = KIND.ping(SPEC, KIND.connect(SPEC, url), 2.0)
    assert (stranger.status, stranger.refused) == (PingStatus.DEGRADED, True)
    assert "certificate verify failed" in stranger.detail
    with pytest.raises(UsageError, match="another ssl-mode than verify_identity"):
        KIND.connect(SPEC, f"{server.field('url')}/?ssl-mode=PREFERRED")


@pytest.mark.fault("canary-secret")
def test_a_wrong_login_is_refused_and_told_nowhere(server):
    """A wrong password and an unknown database are what is declared, not an outage; no password is told."""
    url = server.field("url")
    wrong = KIND.ping(SPEC, KIND.connect(SPEC, url.replace("pass%2Fword", "wrong-password")), 2.0)
    assert (wrong.status, wrong.refused) == (PingStatus.DEGRADED, True)
    assert wrong.detail.startswith("Access denied for user 'root'@")
    assert "wrong-password" not in wrong.detail
    missing = KIND.ping(SPEC, KIND.connect(SPEC, f"{url}/nowhere"), 2.0)
    assert (missing.detail, missing.refused) == ("Unknown database 'nowhere'", True)


def test_who_is_no_server_is_down(server):
    """Nobody, somebody else, and one who says nothing: down, within the deadline."""
    assert KIND.ping(SPEC, at(server, free_port()), 2.0).detail == "connection refused"
    with fake(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert KIND.ping(SPEC, at(server, port), 0.5).status is PingStatus.DOWN
    with fake(silent) as port:
        assert KIND.ping(SPEC, at(server, port), 0.2).detail == "timeout after 0.2 s"


def test_workers_do_not_see_each_other_and_are_reset(server):
    """Each has a database of its own; a reset names the tables that had rows, and leaves the tables."""
    with KIND.isolate(SPEC, server, "gw0") as one, KIND.isolate(SPEC, server, "gw1") as other:
        run(
            one.endpoint,
            "CREATE TABLE users (id int AUTO_INCREMENT PRIMARY KEY)",
            "CREATE TABLE `z``odd` (owner int, FOREIGN KEY (owner) REFERENCES users (id))",
            "CREATE VIEW everybody AS SELECT * FROM users",
            "INSERT INTO users VALUES (1), (2)",
            "INSERT INTO `z``odd` VALUES (1)",
            "ALTER TABLE users ADD owner int, ADD FOREIGN KEY (owner) REFERENCES `z``odd` (owner)",
            "UPDATE users SET owner = 1",
        )
        assert run(other.endpoint, "SHOW TABLES") == []
        assert [str(left) for left in one.reset()] == ["2 rows in table users", "1 row in table z`odd"]
        assert run(one.endpoint, "SELECT * FROM everybody") == []
        assert one.reset() == ()
        names = {one.endpoint.database, other.endpoint.database}
        assert names < {name for (name,) in run(server, "SHOW DATABASES")}
    assert not names & {name for (name,) in run(server, "SHOW DATABASES")}


def test_a_transaction_that_was_left_open_is_ended(server):
    """It would hold up the next test: the reset ends it, says so at once, and takes its rows away."""
    with KIND.isolate(SPEC, server, "gw0") as part:
        run(part.endpoint, "CREATE TABLE users (id int)", "INSERT INTO users VALUES (1)")
        part.reset()  # a moment before: the server shows its transactions as they were up to 0.1 s ago
        run(part.endpoint, "INSERT INTO users VALUES (1)")
        holder = connected(part.endpoint, autocommit=False)
        holder.cursor().execute("UPDATE users SET id = 2")
        began = time.monotonic()
        assert [str(left) for left in part.reset()] == ["1 transaction not finished", "1 row in table users"]
        assert time.monotonic() - began < 4
        with pytest.raises(pymysql.err.OperationalError):
            holder.cursor().execute("SELECT 1")


def test_what_still_holds_a_part_does_not_keep_it(server):
    """A connection with an open transaction on a worker's database is ended where that is dropped."""
    began = time.monotonic()
    with KIND.isolate(SPEC, server, "gw0") as part:
        run(part.endpoint, "CREATE TABLE users (id int)")
        holder = connected(part.endpoint, autocommit=False)
        holder.cursor().execute("SELECT * FROM users")
    assert time.monotonic() - began < 4
    assert (part.endpoint.database,) not in run(server, "SHOW DATABASES")
    assert holder.open


def test_a_user_without_the_right_is_told_which(server):
    """Who may make no database gets one error with the missing grant; who may, needs no other right."""
    run(server, "CREATE USER shop@127.0.0.1 IDENTIFIED BY 'x'", "CREATE DATABASE shop")
    run(server, "GRANT ALL ON shop.* TO shop@127.0.0.1")
    shop = KIND.connect(SPEC, f"mysql://shop:x@127.0.0.1:{server.port}/shop")
    with pytest.raises(ServiceError, match=r"cannot be divided: Access denied .* it needs GRANT ALL ON"):
        KIND.isolate(SPEC, shop, "gw0").__enter__()
    run(server, "GRANT ALL ON `envmatrix\\_%`.* TO shop@127.0.0.1")
    with KIND.isolate(SPEC, shop, "gw0") as part:
        run(part.endpoint, "CREATE TABLE users (id int)", "INSERT INTO users VALUES (1)")
        assert [str(left) for left in part.reset()] == ["1 row in table users"]


def test_parts_of_killed_workers_are_dropped(server):
    """A run's own by their names, and nobody else's."""
    mine, others = KIND.isolate(SPEC, server, "run1_gw0"), KIND.isolate(SPEC, server, "run2_gw0")
    with mine as one, others as two:
        KIND.drop_parts(SPEC, server, lambda names: of_run(names, "run1"))
        left = {name for (name,) in run(server, "SHOW DATABASES")}
        assert (one.endpoint.database in left, two.endpoint.database in left) == (False, True)


def test_without_its_library(server, monkeypatch):
    """A missing extra is named with its install command; an unreachable server is, too."""
    with pytest.raises(UnreachableError, match="does not answer: connection refused"):
        KIND.isolate(SPEC, at(server, free_port()), "gw0").__enter__()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="mysql"):
        KIND.connect(SPEC, server.field("url"))
