"""The kind `s3`: object stores with the API of Amazon S3, through botocore."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, ClassVar

from envmatrix.environments import ServiceSpec, Source
from envmatrix.runs.ping import Ping
from envmatrix.services.endpoint import Endpoint, at_database, endpoint_at
from envmatrix.services.kinds.base import Isolated
from envmatrix.services.kinds.isolation import removing
from envmatrix.services.kinds.left import MOST, Left, keys_left
from envmatrix.services.kinds.part_names import part_name, stale
from envmatrix.services.kinds.s3_client import observed, session
from envmatrix.services.kinds.url_kind import UrlKind
from envmatrix.services.probes.probe import probe
from envmatrix.services.processes.wheels import need


class S3Kind(UrlKind):
    """`kind = "s3"`. A worker gets a bucket of its own."""

    name = "s3"
    schemes: ClassVar = {"http": 80, "https": 443}

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at `https://KEY:SECRET@HOST/BUCKET`; the bucket is its database."""
        need("botocore", "s3")
        return endpoint_at(spec, url, schemes=self.schemes, database="")

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Look whether the bucket is there; list all buckets where none is declared."""
        return probe(spec, deadline, lambda: observed(endpoint, deadline))

    @contextmanager
    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> Iterator[Isolated]:
        """Create a bucket; empty and remove it at the end."""
        name = _as_bucket(part_name(worker))
        if spec.source is Source.REMOTE:
            self.drop_parts(spec, endpoint, stale)
        with session(spec, endpoint) as client:
            client.create_bucket(Bucket=name)
        try:
            yield _WorkerBucket(spec, at_database(endpoint, name))
        finally:
            with removing(spec, f"the bucket {name}"), session(spec, endpoint) as client:
                _drop(client, name)

    def drop_parts(self, spec: ServiceSpec, endpoint: Endpoint, choose: Callable[[Iterable[str]], list[str]]) -> None:
        """Remove the chosen buckets, as far as we may."""
        from botocore.exceptions import ClientError

        with session(spec, endpoint) as client:
            names = [bucket["Name"].replace("-", "_") for bucket in client.list_buckets()["Buckets"]]
            for name in choose(names):
                with suppress(ClientError):  # another user's, or another run is removing it
                    _drop(client, _as_bucket(name))


class _WorkerBucket:
    """A worker's own bucket."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._spec = spec

    def reset(self) -> tuple[Left, ...]:
        """Delete every object; return their names."""
        with session(self._spec, self.endpoint) as client:
            return keys_left(_empty(client, self.endpoint.database))


def _as_bucket(name: str) -> str:
    """Return a name of ours as a bucket may have it: with no underscore."""
    return name.replace("_", "-").rstrip("-")


def _drop(client: Any, bucket: str) -> None:
    _empty(client, bucket)
    client.delete_bucket(Bucket=bucket)


def _empty(client: Any, bucket: str) -> list[str]:
    """Delete every object of a bucket; return the first names."""
    names: list[str] = []
    while found := [each["Key"] for each in client.list_objects_v2(Bucket=bucket).get("Contents", ())]:
        client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in found], "Quiet": True})
        names += islice(found, MOST - len(names))
    return names


KIND = S3Kind()
