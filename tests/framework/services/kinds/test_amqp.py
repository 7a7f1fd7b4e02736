"""The kind `amqp`, against Debian's RabbitMQ server."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import amqp
import pytest
import trustme

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import MissingExtraError, ServiceError, UnreachableError
from envmatrix.runs.ping import PingStatus
from envmatrix.services import Endpoint, get_kind
from envmatrix.services.kinds.amqp import purge
from envmatrix.services.kinds.amqp_client import session
from envmatrix.services.kinds.part_names import of_run
from envmatrix.services.processes.ports import free_port
from tests.framework.services.place import eventually
from tests.framework.services.servers import at, fake, says, silent

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # that in /usr/sbin runs as an account of its own alone
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="Debian's rabbitmq-server is not installed")

KIND = get_kind("amqp")
MANAGEMENT, TLS = free_port(), free_port()
URL = f"http://127.0.0.1:{MANAGEMENT}"
SPEC = ServiceSpec(name="broker", kind="amqp", source=Source.PROCESS, command=["rabbitmq-server"])
DIVIDED = SPEC.model_copy(update={"management": URL, "ping_deadline": 10.0})
CONFIG = f"""
listeners.ssl.default = 127.0.0.1:{TLS}
ssl_options.certfile = server.pem
ssl_options.keyfile = server.pem
management.tcp.ip = 127.0.0.1
management.tcp.port = {MANAGEMENT}
default_pass = pass/word
"""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """What signed the server's certificate."""
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> Iterator[Endpoint]:
    """A RabbitMQ server with its management, up, whose guest has a password of his own."""
    with tempfile.TemporaryDirectory(prefix="em", ignore_cleanup_errors=True) as name:
        port, epmd = free_port(), free_port()
        certificate = authority.issue_cert("127.0.0.1", not_after=dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
        certificate.private_key_and_cert_chain_pem.write_to_path(f"{name}/server.pem")
        Path(name, "plugins").write_text("[rabbitmq_management].")
        Path(name, "rabbitmq.conf").write_text(CONFIG.replace("server.pem", f"{name}/server.pem"))
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": name,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
            "RABBITMQ_CONFIG_FILE": f"{name}/rabbitmq.conf",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{name}/plugins",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": f"{name}/data",
            "RABBITMQ_NODENAME": f"em{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
        }
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen([PROGRAM], env=variables, process_group=0, **quiet) as process:
            endpoint = KIND.connect(SPEC, f"amqp://guest:pass%2Fword@127.0.0.1:{port}")
            try:
                assert eventually(lambda: KIND.ping(SPEC, endpoint, 2.0).is_up, 60), KIND.ping(SPEC, endpoint, 2.0)
                yield endpoint
            finally:
                os.killpg(process.pid, 9)
                process.wait()
                stop = ["epmd", "-port", str(epmd), "-kill"]  # it has left the group
                eventually(lambda: b"Killed" in subprocess.run(stop, check=False, capture_output=True).stdout, 5)


def fill(endpoint: Endpoint, queue: str, messages: int, **options: bool) -> None:
    """Declare a queue as a product would, and leave messages in it."""
    with session(SPEC, endpoint) as connection, connection.channel() as channel:
        channel.queue_declare(queue, auto_delete=False, **options)
        for _ in range(messages):
            channel.basic_publish(amqp.Message("x"), routing_key=queue)


def test_up_with_version(server):
    """A running broker is up, and says its product, version and cluster."""
    seen = KIND.ping(SPEC, server, 2.0)
    assert (seen.status, seen.detail, seen.certificate) == (PingStatus.UP, "", None)
    assert seen.version == f"RabbitMQ {seen.identity['version']}"
    assert seen.identity["cluster_name"].startswith("em")


def test_another_broker_than_the_declared_one(server):
    """What `identity` demands is compared with what the broker says of itself."""
    other = SPEC.model_copy(update={"identity": {"product": "RabbitMQ", "cluster_name": "staging"}})
    seen = KIND.ping(other, server, 2.0)
    assert (seen.status, seen.wrong_identity) == (PingStatus.DEGRADED, True)
    assert seen.detail.startswith("answers as RabbitMQ/em")


@pytest.mark.usefixtures("server")
def test_tls_is_spoken_where_it_is_declared(authority, tmp_path):
    """With `amqps` the certificate is verified and its end told; a stranger's is refused, unless nobody minds."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    secure = KIND.connect(SPEC, f"amqps://guest:pass%2Fword@127.0.0.1:{TLS}")
    seen = KIND.ping(SPEC, secure.model_copy(update={"ca_file": str(tmp_path / "ca.pem")}), 2.0)
    assert (seen.detail, seen.certificate.expires) == ("", dt.datetime(2040, 1, 1, tzinfo=dt.UTC).timestamp())
    stranger = KIND.ping(SPEC, secure, 2.0)
    assert (stranger.status, stranger.refused) == (PingStatus.DEGRADED, True)
    assert "certificate verify failed" in stranger.detail
    assert KIND.ping(SPEC, secure.model_copy(update={"verify": False}), 2.0).is_up
    missing = KIND.ping(SPEC, secure.model_copy(update={"ca_file": "gone.pem"}), 2.0)
    assert missing.detail == "was not asked: its ca_file gone.pem is not on this machine"


@pytest.mark.fault("canary-secret")
def test_a_wrong_login_is_refused_and_told_nowhere(server):
    """A wrong password and an unknown virtual host are what is declared, not an outage; no password is told."""
    url = server.field("url")
    wrong = KIND.ping(SPEC, KIND.connect(SPEC, url.replace("pass%2Fword", "wrong-password")), 2.0)
    assert (wrong.status, wrong.refused) == (PingStatus.DEGRADED, True)
    assert wrong.detail.startswith("ACCESS_REFUSED - Login was refused")
    assert "wrong-password" not in wrong.detail
    missing = KIND.ping(SPEC, KIND.connect(SPEC, f"{url}/nowhere"), 2.0)
    assert (missing.detail, missing.refused) == ("NOT_ALLOWED - vhost nowhere not found", True)
    guest = KIND.connect(SPEC, f"amqp://127.0.0.1:{server.port}/%2F")
    assert (guest.user, guest.field("password"), guest.database) == ("guest", "guest", "/")


def test_who_is_no_broker_is_down(server):
    """Nobody, somebody else, and one who says nothing: down, within the deadline."""
    assert KIND.ping(SPEC, at(server, free_port()), 2.0).detail == "connection refused"
    with fake(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert KIND.ping(SPEC, at(server, port), 0.5).status is PingStatus.DOWN
    with fake(silent) as port:
        assert KIND.ping(SPEC, at(server, port), 0.2).detail == "timeout after 0.2 s"


def test_workers_do_not_see_each_other_and_are_reset(server):
    """Each has a virtual host of its own; a reset purges the queues, says how much was there, and leaves them."""
    with KIND.isolate(DIVIDED, server, "gw0") as one, KIND.isolate(DIVIDED, server, "gw1") as other:
        assert one.reset() == ()
        fill(one.endpoint, "orders", 2)
        fill(one.endpoint, "mail/<b>", 1, durable=True)
        fill(other.endpoint, "orders", 0)
        assert other.reset() == ()
        with session(SPEC, one.endpoint) as holder:
            holder.channel().queue_declare("mine", exclusive=True)
            assert [str(left) for left in one.reset()] == ["3 messages in mail/<b>, orders"]
        assert one.reset() == ()
        with session(SPEC, one.endpoint) as connection:
            assert connection.channel().queue_declare("orders", passive=True).message_count == 0
    for part in (one, other):
        assert "not found" in KIND.ping(SPEC, part.endpoint, 2.0).detail


def test_a_queue_that_goes_meanwhile_had_nothing(server):
    """One that its last consumer took along between being listed and being purged breaks no reset."""
    with session(SPEC, server) as connection:
        assert purge(connection, "gone") == 0


def test_parts_of_killed_workers_are_dropped(server):
    """A run's own by their names, and nobody else's."""
    mine, others = KIND.isolate(DIVIDED, server, "run1_gw0"), KIND.isolate(DIVIDED, server, "run2_gw0")
    with mine as one, others as two:
        KIND.drop_parts(DIVIDED, server, lambda names: of_run(names, "run1"))
        assert (KIND.ping(SPEC, one.endpoint, 2.0).is_up, KIND.ping(SPEC, two.endpoint, 2.0).is_up) == (False, True)


def test_without_management_workers_have_a_prefix(server):
    """Nobody but the management makes virtual hosts, or tells which queues there are: names are then a promise."""
    with KIND.isolate(SPEC, server, "gw0") as one, KIND.isolate(SPEC, server, "gw1") as other:
        assert one.endpoint.prefix.endswith("_gw0.")
        assert one.endpoint.prefix != other.endpoint.prefix
        assert (one.endpoint.database, one.reset()) == ("/", None)
    KIND.drop_parts(SPEC, server, list)


def test_a_user_without_the_right_is_told_which(server):
    """Who is no administrator gets one error with the missing tag; who does not answer, its reason."""
    with pytest.raises(
        ServiceError, match=r"cannot be divided: http.* answers 401; its user needs the tag administrator"
    ):
        KIND.isolate(DIVIDED, KIND.connect(SPEC, f"amqp://shop:x@127.0.0.1:{server.port}"), "gw0").__enter__()
    nobody = DIVIDED.model_copy(update={"management": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(UnreachableError, match="its management does not answer: connection refused"):
        KIND.isolate(nobody, server, "gw0").__enter__()


def test_without_its_library(server, monkeypatch):
    """A missing extra is named with its install command."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="amqp"):
        KIND.connect(SPEC, server.field("url"))
