"""The kind `s3`, against moto's server, which speaks the API of Amazon S3."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import botocore.session
import pytest

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import MissingExtraError, ServiceError, UnreachableError
from envmatrix.runs.ping import PingStatus
from envmatrix.services import Endpoint, get_kind
from envmatrix.services.kinds.part_names import of_run
from envmatrix.services.processes.ports import free_port
from tests.framework.services.place import eventually
from tests.framework.services.servers import at, fake, says, silent, web

KIND = get_kind("s3")
SPEC = ServiceSpec(name="files", kind="s3", source=Source.PROCESS, command=["moto_server"], ping_deadline=10)


@pytest.fixture(scope="module")
def server() -> Iterator[Endpoint]:
    """An object store that is up."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env={"PATH": os.defpath}, **quiet) as process:
        endpoint = KIND.connect(SPEC, f"http://akey:s%2Fcret-word@127.0.0.1:{port}")
        try:
            assert eventually(lambda: KIND.ping(SPEC, endpoint, 2.0).is_up, 60), KIND.ping(SPEC, endpoint, 2.0)
            yield endpoint
        finally:
            process.kill()


def client(endpoint: Endpoint):
    """Return a client as a product would have it."""
    return botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{endpoint.port}",
        aws_access_key_id=endpoint.user,
        aws_secret_access_key=endpoint.field("password"),
    )


def buckets(endpoint: Endpoint) -> set[str]:
    """Return the names of all buckets."""
    return {each["Name"] for each in client(endpoint).list_buckets()["Buckets"]}


def test_up_where_the_bucket_is(server):
    """The server is up; a declared bucket must be there, too, and one that is not is no outage."""
    assert KIND.ping(SPEC, server, 10.0).status is PingStatus.UP
    client(server).create_bucket(Bucket="pictures")
    assert KIND.ping(SPEC, KIND.connect(SPEC, f"{server.field('url')}/pictures"), 10.0).is_up
    missing = KIND.ping(SPEC, KIND.connect(SPEC, f"{server.field('url')}/nowhere"), 10.0)
    assert (missing.status, missing.refused) == (PingStatus.DEGRADED, True)


@pytest.mark.fault("canary-secret")
def test_who_refuses_or_does_not_answer(server):
    """Each has its reason, and none of them the secret key."""
    assert KIND.ping(SPEC, at(server, free_port()), 2.0).detail == "connection refused"
    with fake(silent) as port:
        assert KIND.ping(SPEC, at(server, port), 0.3).detail == "timeout after 0.3 s"
    denied = "<Error><Code>AccessDenied</Code><Message>no, s/cret-word</Message></Error>"
    with web({"/": (403, denied)}) as site:
        seen = KIND.ping(SPEC, at(server, site.port), 10.0)
        assert (seen.status, seen.refused) == (PingStatus.DEGRADED, True)
        assert seen.detail.startswith("AccessDenied: no")
        assert "cret-word" not in seen.detail
    answer = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(denied)}\r\nConnection: close\r\n\r\n{denied}"
    with fake(says(answer.encode())) as port, pytest.raises(ServiceError, match="its user may not make buckets"):
        KIND.isolate(SPEC, at(server, port), "gw0").__enter__()
    short = SPEC.model_copy(update={"ping_deadline": 0.2})
    with fake(silent) as port, pytest.raises(UnreachableError, match=r"does not answer: timeout after 0.2 s"):
        KIND.isolate(short, at(server, port), "gw0").__enter__()


def test_workers_do_not_see_each_other_and_are_reset(server):
    """Each has a bucket of its own; a reset names the objects in it, and the end removes it."""
    store = client(server)
    with KIND.isolate(SPEC, server, "gw0_x_") as one, KIND.isolate(SPEC, server, "gw1") as other:
        names = {one.endpoint.database, other.endpoint.database}
        assert names <= buckets(server)
        assert all(name[-1].isalnum() for name in names)
        for key in ("b", "a/b ü"):
            store.put_object(Bucket=one.endpoint.database, Key=key, Body=b"x")
        assert KIND.ping(SPEC, one.endpoint, 10.0).is_up
        assert [str(left) for left in one.reset()] == ["2 keys: a/b ü, b"]
        assert one.reset() == other.reset() == ()
        store.put_object(Bucket=one.endpoint.database, Key="left", Body=b"x")
    assert not names & buckets(server)


def test_parts_of_killed_workers_are_removed(server):
    """A run's own by their names, and nobody else's."""
    with KIND.isolate(SPEC, server, "run1_gw0") as one, KIND.isolate(SPEC, server, "run2_gw0") as two:
        client(server).put_object(Bucket=one.endpoint.database, Key="left", Body=b"x")
        KIND.drop_parts(SPEC, server, lambda names: of_run(names, "run1"))
        left = buckets(server)
        assert (one.endpoint.database in left, two.endpoint.database in left) == (False, True)


def test_without_its_library(server, monkeypatch):
    """A missing extra is named with its install command."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="s3"):
        KIND.connect(SPEC, server.field("url"))
