"""The environment that a file declares: its top-level keys, its users, its twin."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, WrapSerializer

from envmatrix.environments.auth import secrets_of
from envmatrix.environments.canary import Canary
from envmatrix.environments.compose import Compose
from envmatrix.environments.declaration import Inheritance
from envmatrix.environments.maintenance import Maintenance
from envmatrix.environments.pytest_table import PytestTable
from envmatrix.environments.service import ServiceSpec, Source
from envmatrix.environments.tables import Table
from envmatrix.environments.users import UserRoutes
from envmatrix.environments.variant import Fault, Variant
from envmatrix.masking import secrets_among, secrets_among_headers, secrets_in_command, secrets_in_url


class ContractTable(Table):
    """The `[contract]` table: which service the fields of `real_services` are of that name none."""

    http_client: str | None = None
    """The service that `http_client` talks to. By default `backend`, or where none has that name the only HTTP service beside
    `auth`. `backend_url`, `api_url` and `websocket_url` are of it, too, and tests require it as `backend`, where none has that
    name."""


class Twin(Table):
    """The `[twin]` table: what stands in for a remote deployment while its variables are unset."""

    environment: str
    """Another declaration, relative to this file, whose services are started first."""
    variables: dict[str, str]
    """What the variables become once those services are up: `STAGING_BACKEND_URL = "{backend.url}"`."""


def _read_only(value: dict[str, ServiceSpec]) -> Mapping[str, ServiceSpec]:
    return MappingProxyType(dict(value))


VariantName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
BACKEND = "backend"
"""What the contract calls the service that clients talk to, whatever it is named."""
DOWN = ".down"
"""Ends the name of a variant that need not be declared: in `local+redis.down`, redis is down and nothing is promised."""


class Environment(Inheritance):
    """A named place where the system under test runs."""

    name: str
    """The file's name; in a variant followed by the variant's: `local+redis_down`."""
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
    compose: Compose = Compose()
    """Where its containers run."""
    contract: ContractTable = ContractTable()
    """Which service fields are of that name none."""
    canary: Canary = Canary()
    """Where a cross-user read would show."""
    maintenance: tuple[Maintenance, ...] = ()
    """When it is worked on."""
    pytest: PytestTable = PytestTable()
    """What its suite is given."""
    twin: Twin | None = None
    """Set only while the twin really stands in: with the variables set it is `None`."""
    variants: dict[VariantName, Variant] = Field(default_factory=dict)
    """The ways in which it can be degraded, each a column of its own."""
    written: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict, exclude=True, repr=False)
    """Each service's commands and `options` as the file has them, their `${VARIABLE}` blanks not filled in."""
    written_args: tuple[str, ...] = Field(default=(), exclude=True, repr=False)
    """The `args` of `[pytest]`, in the same way."""
    bases: tuple[Path, ...] = Field(default=(), exclude=True, repr=False)
    """The files that its own file extends, the nearest first."""
    overrides: tuple[str, ...] = Field(default=(), exclude=True, repr=False)
    """What the command line set, as given: `services.backend.url=…`. May hold secrets."""
    alias: str = Field(default="", exclude=True)
    """The name that a run of it has in every report, where that is another: `pr-123`."""

    @property
    def label(self) -> str:
        """Return the name of the matrix column; a twin is named as one."""
        return f"{self.run_name} (twin)" if self.twin else self.run_name

    @property
    def run_name(self) -> str:
        """Return the name of its runs: the alias, if it has one."""
        return self.alias or self.name

    @property
    def declared_name(self) -> str:
        """Return the name that its services know it by: without a variant's."""
        return self.name.partition("+")[0]

    @property
    def given(self) -> frozenset[str]:
        """Return the services that `[pytest]` gives to every test, without absent ones."""
        return frozenset(name for name in self.pytest.references if self.services[name].source is not Source.ABSENT)

    @property
    def variant(self) -> Variant | None:
        """Return how it is degraded; `None` where it is not."""
        return self.variants.get(self.name.partition("+")[2])

    @property
    def api(self) -> str:
        """Return the service that `http_client` talks to: the declared one, else the contract's `backend`."""
        return self.contract.http_client or self.service_named(BACKEND)

    def service_named(self, name: str) -> str:
        """Return the service that a field of the contract is of: what it calls `backend` may have another name here."""
        if name != BACKEND or BACKEND in self.services:
            return name
        present = [spec for spec in self.services.values() if spec.source is not Source.ABSENT]
        found = [spec.name for spec in present if spec.kind == "http" and spec.name != "auth"]
        return self.contract.http_client or (found[0] if len(found) == 1 else BACKEND)

    def degraded(self, name: str) -> Self | None:
        """Return the environment as a variant has it; `None` where there is no such variant."""
        service = name.removesuffix(DOWN)
        implied = {name: Variant(services={service: Fault(fault="down")})} if service in self.services else {}
        variants = self.variants | (implied if service != name else {})
        if name not in variants:
            return None
        return self.model_copy(update={"name": f"{self.name}+{name}", "variants": variants})

    def is_degraded(self, service: str) -> bool:
        """Return whether a fault of the variant reaches a service: its own, or that of one that it needs."""
        variant = self.variant
        return variant is not None and not self.closure(frozenset({service})).isdisjoint(variant.services)

    def demands(self, service: str) -> bool:
        """Return whether no test can run without a service: in a variant, tests tell what survives a fault."""
        return self.services[service].is_required and not self.is_degraded(service)

    def must_work(self, capability: str) -> bool:
        """Return whether a test may rely on a capability: in a variant, no fault reaches it, or it is to survive."""
        service, variant = self.providers[capability], self.variant
        survivors = variant.survives if variant else ()
        return not self.is_degraded(service) or capability in survivors or service in survivors

    @cached_property
    def providers(self) -> Mapping[str, str]:
        """Map every declared capability, absent ones too, to the service that provides it."""
        found: dict[str, str] = {}
        for service in self.services.values():
            extra = ["websocket"] if service.websocket else []
            for capability in (service.name, *service.capabilities, *extra):
                found.setdefault(capability, service.name)
        if (backend := self.service_named(BACKEND)) in self.services:
            found.setdefault(BACKEND, backend)
        if self.users is not None:
            found.setdefault("multi_user", self.users.service)
        return MappingProxyType(found)

    def closure(self, names: frozenset[str]) -> frozenset[str]:
        """Return the named services and all that they reference, directly or not, without absent ones."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            service = self.services[waiting.pop()]
            if service.name in found or service.source is Source.ABSENT:
                continue
            found.add(service.name)
            waiting.extend(service.references)
        return frozenset(found)

    def exercised_with(self, capabilities: set[str]) -> frozenset[str]:
        """Return the services without an address that those behind some capabilities need: no test reaches them itself."""
        services = frozenset(self.providers[name] for name in capabilities & self.providers.keys())
        return frozenset(name for name in self.closure(services) if not self.services[name].has_address)

    def secrets(self) -> Iterator[str]:
        """Yield the secrets that the declaration holds."""
        for service in self.services.values():
            yield service.api_key.get_secret_value() if service.api_key else ""
            yield from secrets_of(service.auth) if service.auth else ()
            yield from secrets_among_headers(
                {name: value.get_secret_value() for name, value in service.headers.items()}
            )
            yield from secrets_in_url(service.url.get_secret_value() if service.url else "")
            yield from secrets_among({name: value.get_secret_value() for name, value in service.env.items()})
            yield from secrets_in_command(service.command)
            yield from secrets_in_command(service.health_command)
        yield from (account.password.get_secret_value() for account in self.users.accounts) if self.users else ()
        yield from secrets_among({name: value.get_secret_value() for name, value in self.pytest.env.items()})
        yield from secrets_in_command(self.pytest.args)

    def start_order(self, names: frozenset[str]) -> list[str]:
        """Return the named services and all that they reference, each after those that it references."""
        return sorted(self.closure(names), key=lambda name: (len(self.closure(frozenset({name}))), name))

    def masked(self) -> Mapping[str, Any]:
        """Return the resolved declaration as plain values, every secret as stars.

        Commands and options stay as written: what fills in their blanks may be a secret.
        """
        plain = self.model_dump(mode="json", exclude_none=True, exclude={"file", *Inheritance.model_fields})
        for table in plain["services"].values():
            table.pop("driver", None)
        for service, keys in self.written.items():
            plain["services"][service].update(keys)
        plain["pytest"]["args"] = list(self.written_args)
        return MappingProxyType(plain)
