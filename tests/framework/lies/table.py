"""Every lie that the conformance suite must catch, and the tests that must catch it.

A lie is told by the services (`server.py` knows them by name), by the fixture (a function that falsifies its value), or
by this library (a patch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from envmatrix.conformance import claims
from envmatrix.contracts import Contract, RealServices
from envmatrix.services import get_kind
from envmatrix.services.kinds.isolation import WholeService

Falsify = Callable[[Contract, Any], Contract]
"""Gets a fixture's value and the process that built it."""


@dataclass(frozen=True)
class Lie:
    """One fact made false."""

    name: str
    caught_by: tuple[str, ...]
    """Tests, `name` for every parameter or `name[parameter]` for one."""
    told_by_services: bool = False
    falsify: Falsify | None = None
    fixture: str = "real_services"
    field: str = ""
    patch: Callable[[pytest.MonkeyPatch, Any], None] | None = None
    fault: str = ""
    """The name in the list of faults, where it is one of them."""


def _served(name: str, *caught_by: str, fault: str = "") -> Lie:
    return Lie(name, caught_by, told_by_services=True, fault=fault)


def _said(field: str, value: object, *caught_by: str, fixture: str = "real_services") -> Lie:
    """Falsify one field; a callable gets the true value."""

    def falsify(contract: Contract, _process: Any) -> Contract:
        held = value(contract.__dict__[field]) if callable(value) else value
        return contract.model_copy(update={field: held})

    name = f"{fixture}.{field} = {getattr(value, '__name__', value)}"
    return Lie(name, caught_by, falsify=falsify, fixture=fixture, field=field)


def _negated(held: bool) -> bool:
    return not held


def _elsewhere(url: str) -> str:
    return url + "/elsewhere"


def _without_token(client: Any) -> Any:
    return type(client)(base_url=client.base_url)


def _at_auth(client: Any) -> Any:
    return type(client)(base_url="http://127.0.0.1:9", headers=client.headers)


def _plain(token: str) -> str:
    return "".join(token)


def _open_config(config: Any) -> Any:
    return {
        **config,
        "services": {**config["services"], "llm": {**config["services"]["llm"], "api_key": "sk-lies-key"}},
    }


def _short_config(config: Any) -> Any:
    return {"services": {name: service for name, service in config["services"].items() if name != "redis"}}


def _without_backend(urls: Any) -> Any:
    return {name: url for name, url in urls.items() if name != "backend"}


def _shared(service: str, test: str) -> Lie:
    """Give every worker the whole service."""

    def patch(monkeypatch: pytest.MonkeyPatch, _process: Any) -> None:
        kind = type(get_kind({"database": "postgres"}.get(service, service)))
        monkeypatch.setattr(
            kind, "isolate", lambda _self, _spec, endpoint, _worker: nullcontext(WholeService(endpoint))
        )

    def falsify(contract: Contract, process: Any) -> Contract:
        return contract.model_copy(update={service: process.session.endpoints[service]})

    name = f"{service}: one part for all workers"
    return Lie(name, (test,), falsify=falsify, patch=patch, fault="cross-worker-collision")


def _product_sees(service: str, test: str) -> Lie:
    """Give this worker the product's part, and other workers a part of their own."""

    def falsify(contract: Contract, process: Any) -> Contract:
        return contract.model_copy(update={service: process.session.endpoints[service]})

    return Lie(f"{service}: the product's own part", (test,), falsify=falsify)


def _greedy(service: str, test: str) -> Lie:
    """Make the end of any other part empty this worker's, too."""

    def patch(monkeypatch: pytest.MonkeyPatch, process: Any) -> None:
        kind = type(get_kind({"database": "postgres"}.get(service, service)))
        isolate, own = kind.isolate, process.isolation.of(service)

        @contextmanager
        def greedy(self: Any, spec: Any, endpoint: Any, worker: str) -> Iterator[Any]:
            with isolate(self, spec, endpoint, worker) as part:
                yield part
            own.reset()

        monkeypatch.setattr(kind, "isolate", greedy)

    return Lie(f"{service}: one part goes, all go", (test,), patch=patch, fault="concurrent-staging-runs")


def _never_reset(monkeypatch: pytest.MonkeyPatch, process: Any) -> None:
    monkeypatch.setattr(process.isolation, "reset", lambda _services: None)


def _not_frozen(contract: Contract, _process: Any) -> Contract:
    class Open(SimpleNamespace):
        used_services: frozenset[str] = frozenset()

        def __setitem__(self, name: str, value: object) -> None:
            setattr(self, name, value)

    return Open(**dict(contract.items()))  # type: ignore[return-value]  # a legacy object, as some conftest may make one


def _two_faced(contract: Contract, _process: Any) -> Contract:
    class TwoFaced(RealServices):
        def __getitem__(self, name: str) -> Any:
            return "http://other" if name == "auth_url" else super().__getitem__(name)

    return TwoFaced.model_construct(**contract.__dict__)


def _one_user(monkeypatch: pytest.MonkeyPatch, process: Any) -> None:
    user = process.users.factory("only")
    monkeypatch.setattr(type(process.users.factory), "_make", lambda *_: user)


_SIGNATURES = ("foreign signature", "foreign secret", "no signature", "prolonged", "other user")
_HTTP = ("test_http_client_carries_a_good_token", "test_http_client_sync_carries_a_good_token")
_STORES = ("database", "redis", "clickhouse")
_CHATS = ("test_client_completes_a_chat", "test_client_streams_a_chat", "test_async_client_streams_a_chat")


def _forged(*variants: str) -> tuple[str, ...]:
    return tuple(f"test_forged_token_is_refused[{variant}]" for variant in variants)


def _forged_socket(*variants: str) -> tuple[str, ...]:
    return tuple(f"test_websocket_url_refuses_a_forged_token[{variant}]" for variant in variants)


LIES = (
    # What a token opens
    _served("token: refuses everybody", "test_jwt_token_is_accepted", "test_websocket_url_admits_a_good_token", *_HTTP),
    _served("token: admits the anonymous", "test_no_token_is_refused", "test_websocket_url_refuses_nobody", *_HTTP),
    _served("token: verifies no signature", *_forged(*_SIGNATURES), *_forged_socket("foreign signature", "prolonged")),
    _served("token: admits alg=none", *_forged("alg=none", "alg=None", "alg=NONE"), *_forged_socket("alg=none")),
    _served("token: admits an empty one", *_forged("empty"), *_forged_socket("empty")),
    _served("token: admits nonsense", *_forged("nonsense", "cut short")),
    _served("token: verifies with the public key", "test_token_signed_with_the_public_key_is_refused"),
    _served("token: believes the key it brings", "test_token_that_brings_its_own_key_is_refused"),
    _served("token: admits expired ones", "test_expired_token_is_refused"),
    _served("token: admits any audience", "test_token_for_another_audience_is_refused"),
    _served("key: refuses all", "test_api_key_is_accepted"),
    _served("key: admits any", "test_mangled_api_key_is_refused"),
    _served("websocket: refuses everybody", "test_websocket_url_admits_a_good_token"),
    _served("websocket: admits the anonymous", "test_websocket_url_refuses_nobody"),
    # Who answers
    _served("health: another service", "test_health_endpoints_name_their_services", fault="health-200-wrong-service"),
    _served("health: another environment", "test_environment_is_what_each_target_reports"),
    _served(
        "health: broken", "test_health_endpoints_name_their_services", "test_environment_is_what_each_target_reports"
    ),
    _served("url: broken", "test_url_is_absolute_and_answers"),
    _served("users: one id for all", "test_users_are_distinct_also_when_made_at_once"),
    _served("users: names another", "test_users_tokens_say_who_they_are"),
    # The language model
    _served(
        "llm: lists nothing",
        "test_available_is_what_its_own_client_sees[llm]",
        "test_llm_available_is_what_its_server_says",
    ),
    _served("llm: has another model", "test_model_is_one_that_the_server_offers"),
    _served("llm: admits any key", "test_api_key_configured_is_whether_the_server_wants_one"),
    _served("llm: says nothing", *_CHATS),
    _served("llm: never ends", *_CHATS[1:]),
    _served(
        "health: not scripted",
        "test_is_real_is_what_the_server_says",
        "test_provider_is_what_the_declaration_or_the_server_says",
    ),
    _served("health: another provider", "test_provider_is_what_the_declaration_or_the_server_says"),
    _said("llm_available", _negated, "test_llm_available_is_what_its_server_says", fixture="real_llm"),
    _said(
        "environment",
        "elsewhere",
        "test_environment_of_the_llm_is_the_selected_one",
        "test_real_llm_has_no_findings",
        fixture="real_llm",
    ),
    _said("client", None, "test_llm_is_none_where_there_is_none", *_CHATS[:2], fixture="real_llm"),
    _said("async_client", None, "test_llm_is_none_where_there_is_none", _CHATS[2], fixture="real_llm"),
    _said("base_url", _elsewhere, "test_base_url_is_the_clients", fixture="real_llm"),
    _said("base_url", None, "test_llm_is_none_where_there_is_none", fixture="real_llm"),
    _said("model", "another", "test_model_is_one_that_the_server_offers", fixture="real_llm"),
    _said("provider", "somebody", "test_provider_is_what_the_declaration_or_the_server_says", fixture="real_llm"),
    _said("is_real", _negated, "test_is_real_is_what_the_server_says", fixture="real_llm"),
    _said(
        "api_key_configured",
        _negated,
        "test_api_key_configured_is_whether_the_server_wants_one",
        fixture="real_llm",
    ),
    # What the fixture says
    _said("environment", "elsewhere", "test_environment_is_the_selected_one", "test_contract_has_no_findings"),
    _said("contract_version", "0.0.1", "test_contract_version_is_the_librarys"),
    _said("config", _open_config, "test_config_holds_no_secret", "test_nothing_that_is_shown_holds_a_secret"),
    _said("config", _short_config, "test_config_is_the_declaration"),
    _said("test_jwt_token", _plain, "test_nothing_that_is_shown_holds_a_secret"),
    _said("test_jwt_token", None, "test_jwt_token_is_accepted", "test_websocket_url_admits_a_good_token"),
    _said("test_jwt_token", "nonsense", "test_jwt_token_is_accepted", "test_jwt_token_tells_when_it_ends"),
    _said("test_api_key", None, "test_api_key_is_accepted"),
    *(
        _said(
            f"{name}_available",
            _negated,
            f"test_available_is_what_its_own_client_sees[{name}]",
            f"test_required_is_never_unavailable[{name}]",
        )
        for name in (*_STORES, "llm")
    ),
    *(
        _said(f"{name}_required", _negated, f"test_required_is_what_the_file_says[{name}]")
        for name in (*_STORES, "llm")
    ),
    *(
        _said(f"{name}_url", None, f"test_url_is_none_exactly_where_there_is_no_service[{name}_url]")
        for name in ("backend", "api", "auth", "websocket")
    ),
    *(
        _said(f"{name}_url", "/relative", f"test_url_is_absolute_and_answers[{name}_url]")
        for name in ("backend", "api", "auth")
    ),
    _said("api_url", _elsewhere, "test_api_url_is_below_the_backends"),
    _said("websocket_url", _elsewhere, "test_websocket_url_admits_a_good_token"),
    _said("health_endpoints", _without_backend, "test_health_endpoints_are_of_every_http_service"),
    _said("http_client", _without_token, _HTTP[0]),
    _said("http_client_sync", _without_token, _HTTP[1]),
    _said("http_client", _at_auth, "test_http_clients_are_the_backends"),
    _said("http_client_sync", _at_auth, "test_http_clients_are_the_backends"),
    Lie("a legacy object", ("test_fields_and_keys_are_the_same", "test_no_field_can_be_assigned"), falsify=_not_frozen),
    Lie("attributes and keys differ", ("test_fields_and_keys_are_the_same",), falsify=_two_faced),
    # Whose it is
    *(_shared(name, f"test_{name}_is_this_workers_own") for name in _STORES),
    *(_product_sees(name, f"test_{name}_is_this_workers_own") for name in _STORES),
    *(_said(name, None, f"test_{name}_is_this_workers_own") for name in _STORES),
    Lie("nothing is reset", tuple(f"test_{name}_is_empty_for_the_next_test" for name in _STORES), patch=_never_reset),
    *(_greedy(name, f"test_{name}_is_this_workers_own") for name in _STORES),
    _served("users: one goes, all go", "test_users_outlive_another_run", fault="concurrent-staging-runs"),
    _served("notes: lists everybody's", "test_http_canary_is_its_users_own"),
    _served("notes: shows anybody's", "test_http_canary_is_its_users_own"),
    _served("notes: loses them", "test_http_canary_is_its_users_own"),
    _served("websocket: tells everybody", "test_websocket_canary_reaches_its_user_alone"),
    _served("websocket: says nothing of it", "test_websocket_canary_reaches_its_user_alone"),
    _served("llm: mixes users up", "test_llm_context_is_its_users_own"),
    _served("llm: opens anybody's talk", "test_llm_context_is_its_users_own"),
    _served("llm: forgets", "test_llm_context_is_its_users_own"),
    *(
        _served(
            f"claims: believes the {place}",
            *(
                f"test_{surface}_claim_to_be_another_user_decides_nothing"
                for surface, places in (("http", claims.HTTP), ("websocket", claims.SOCKET))
                if place in places
            ),
        )
        for place in dict.fromkeys((*claims.HTTP, *claims.SOCKET))
    ),
    _said("users", None, "test_users_are_made_exactly_where_it_is_declared_how"),
    Lie(
        "one user for every call",
        ("test_users_are_distinct_also_when_made_at_once", "test_users_tokens_say_who_they_are"),
        patch=_one_user,
    ),
)
