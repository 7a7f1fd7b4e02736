"""Requests to object stores through botocore: one client for each login, errors in a few words."""

from __future__ import annotations

import functools
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import ServiceError, UnreachableError
from envmatrix.masking import MASKER
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.probe import Observation
from envmatrix.services.probes.reason import NoAnswerError, RefusedError, reason_of

_REFUSALS = frozenset(
    {"400", "403", "404", "AccessDenied", "InvalidAccessKeyId", "NoSuchBucket", "SignatureDoesNotMatch"}
)
"""Codes of a login that is refused, and of a bucket that is not there or not the user's."""


def observed(endpoint: Endpoint, seconds: float) -> Observation:
    """Look whether the endpoint's bucket is there; list all buckets where it names none.

    Raises:
        RefusedError: the login is refused, or there is no such bucket.
        NoAnswerError: there is no such server.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client, bucket = _client(endpoint, seconds), endpoint.database
        answer = client.head_bucket(Bucket=bucket) if bucket else client.list_buckets()
    except (BotoCoreError, ClientError) as error:
        refused = _code(error) in _REFUSALS
        raise (RefusedError if refused else NoAnswerError)(_reason(error, seconds)) from error
    return Observation(answer["ResponseMetadata"]["HTTPHeaders"].get("server", ""))


@contextmanager
def session(spec: ServiceSpec, endpoint: Endpoint) -> Iterator[Any]:
    """Give a client for a few requests, and turn its errors into ours.

    Raises:
        ServiceError: the user may make no buckets.
        UnreachableError: the server does not answer, or refuses a request.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield _client(endpoint, spec.ping_deadline)
    except (BotoCoreError, ClientError) as error:
        reason = MASKER.mask(_reason(error, spec.ping_deadline))
        if _code(error) in {"AccessDenied", "403"}:
            raise ServiceError(spec.name, f"cannot be divided: its user may not make buckets: {reason}") from None
        raise UnreachableError(spec.name, f"does not answer: {reason}") from error


def _client(endpoint: Endpoint, seconds: float) -> Any:
    parts = urllib.parse.urlsplit(endpoint.field("url"))
    root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    region = urllib.parse.parse_qs(parts.query).get("region", ["us-east-1"])[-1]
    login = (endpoint.user, endpoint.field("password"))
    return _made(root, region, login, endpoint.ca_file or endpoint.verify, seconds)


@functools.lru_cache(maxsize=16)  # making one reads a megabyte of JSON
def _made(root: str, region: str, login: tuple[str, str], verify: str | bool, seconds: float) -> Any:
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.session import Session

    config = Config(
        connect_timeout=seconds,
        read_timeout=seconds,
        retries={"total_max_attempts": 1},  # a retry would hide from a probe what it is there to see
        proxies={},
        s3={"addressing_style": "path"},
        signature_version=None if login[0] else UNSIGNED,
    )
    return Session().create_client(
        "s3",
        region_name=region,
        endpoint_url=root,
        aws_access_key_id=login[0] or None,
        aws_secret_access_key=login[1] or None,
        verify=verify,
        config=config,
    )


def _code(error: Exception) -> str:
    """Return the code of the server's own error; empty where it is another."""
    return str(_said(error).get("Code", ""))


def _said(error: Exception) -> Mapping[str, Any]:
    response: Mapping[str, Mapping[str, Any]] = getattr(error, "response", None) or {}
    return response.get("Error", {})


def _reason(error: Exception, seconds: float) -> str:
    """Return the reason in a few words: the server's, or the network's own error within the client's."""
    if code := _code(error):
        return f"{code}: {_said(error).get('Message', '')}"
    return reason_of(error, seconds)
