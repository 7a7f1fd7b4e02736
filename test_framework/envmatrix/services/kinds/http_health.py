"""One look at an HTTP service: its ready path, its health path or command, and what the answers say."""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from envmatrix.environments import ServiceSpec
from envmatrix.environments.references import fill
from envmatrix.runs.ping import PingStatus
from envmatrix.services.endpoint import Endpoint, at_url
from envmatrix.services.probes.auth import ask
from envmatrix.services.probes.command import run_command
from envmatrix.services.probes.exchanges import REFUSALS
from envmatrix.services.probes.http import HttpAnswer, HttpProbe
from envmatrix.services.probes.probe import IDENTITY_KEYS, Observation, WrongIdentityError, wrong_identity
from envmatrix.services.probes.reason import NoAnswerError, RefusedError

_MAX_REDIRECTS = 5


def look(spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Observation:
    """Ask a service for its status and its identity, within so many seconds.

    Raises:
        RefusedError: it refuses the declared `auth`.
        NoAnswerError: it does not live, or says so in another way than the declared one.
        WrongIdentityError: it is another service than the declared one.
        OSError: it cannot be reached.
    """
    until = time.monotonic() + deadline
    base = endpoint.url.get_secret_value()
    with HttpProbe(endpoint, deadline) as http:
        ready = ask(http, endpoint, base + spec.ready) if spec.ready else None
        if ready is not None and ready.status // 100 != 2 and ready.status != HTTPStatus.SERVICE_UNAVAILABLE:  # noqa: PLR2004
            raise NoAnswerError(f"GET {spec.ready} answers {ready.status}")
        if spec.health_command:
            run_command([_filled(word, endpoint) for word in spec.health_command], deadline)
            health = None
        elif not spec.health:
            http.connect()
            health = None
        else:
            health = ask(http, endpoint, base + spec.health)
    if spec.follow_redirects:
        health = _followed(endpoint, base + spec.health, health, until)
    if health is not None and not spec.is_healthy(health.status):
        if endpoint.auth is not None and health.status in REFUSALS:
            raise RefusedError(f"GET {spec.health} answers {health.status} to the declared {endpoint.auth.type} auth")
        raise NoAnswerError(f"GET {spec.health} answers {health.status}")
    identity = read_identity(spec, health, f"GET {spec.health}") if health else {}
    said = ready or health
    dependencies = read_dependencies(said.json_object() if said else None)
    status, detail = PingStatus.UP, ""
    if ready is not None and ready.status == HTTPStatus.SERVICE_UNAVAILABLE:
        lost = [name for name, state in dependencies.items() if state not in {"up", "absent"}]
        broken = ", ".join(lost) or "something it does not name"
        status, detail = PingStatus.DEGRADED, f"not ready: {broken} is down"
    return Observation(
        " ".join(filter(None, (identity.get("service"), identity.get("version")))),
        identity,
        status,
        detail,
        dependencies,
        skew=said.whole_skew if said else 0,
        certificate=http.certificate,
    )


def _filled(word: str, endpoint: Endpoint) -> str:
    return fill(word, lambda _, field: endpoint.field(field) if field else sys.executable)


def _followed(endpoint: Endpoint, url: str, answer: HttpAnswer | None, until: float) -> HttpAnswer | None:
    """Follow an answer to where it leads: each address is checked, and none but the declared one gets what is secret."""
    for _ in range(_MAX_REDIRECTS):
        if answer is None or answer.status // 100 != 3 or not answer.location:  # noqa: PLR2004
            return answer
        is_secure = url.startswith("https:")
        url = urllib.parse.urljoin(url, answer.location)
        where = at_url(endpoint, url)
        if where is None or (is_secure and not url.startswith("https:")):
            raise NoAnswerError(f"leads to a {urllib.parse.urlsplit(url).scheme} URL, which is not followed")
        with HttpProbe(where, max(until - time.monotonic(), 0.0)) as http:
            answer = ask(http, where, url)
    raise NoAnswerError(f"leads elsewhere more than {_MAX_REDIRECTS} times")


def read_identity(spec: ServiceSpec, answer: HttpAnswer, where: str, more_keys: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the identity in a health answer, as texts.

    Raises:
        NoAnswerError: an identity is demanded, and the answer is no JSON object.
        WrongIdentityError: it is the identity of another service than the declared one.
    """
    body = answer.json_object()
    if body is None:
        if any(spec.identity.values()):
            raise NoAnswerError(f"{where} answers {answer.status} without a JSON object: {answer.excerpt!r}")
        return {}
    values = {key: value_at(body, key) for key in sorted({*IDENTITY_KEYS, *more_keys, *spec.identity})}
    identity = {key: _text(value) for key, value in values.items() if not isinstance(value, dict | list | None)}
    if wrong := wrong_identity(spec, identity):
        raise WrongIdentityError(wrong, identity)
    return identity


def value_at(body: Mapping[str, Any], key: str) -> Any:
    """Return the value of a key, where `build.commit` may be a key of a table in it; None where there is none."""
    if key in body:
        return body[key]
    table, _, rest = key.partition(".")
    inner = body.get(table)
    return value_at(inner, rest) if rest and isinstance(inner, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_MEANINGS = {
    **dict.fromkeys(("up", "ok", "pass", "passing", "healthy", "ready", "true"), "up"),
    **dict.fromkeys(("down", "fail", "failed", "failing", "error", "critical", "unhealthy", "false"), "down"),
    **dict.fromkeys(("absent", "disabled"), "absent"),
}
"""Words that health answers use, and what they mean."""


def read_dependencies(body: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the status of each dependency in a readiness answer: `{"dependencies": {"redis": "down"}}`.

    Others write `checks` or `components`, and `{"redis": {"status": "down"}}`.
    """
    tables = [(body or {}).get(key) for key in ("dependencies", "checks", "components")]
    table: dict[str, Any] = next((table for table in tables if isinstance(table, dict)), {})
    states = {name: state.get("status") if isinstance(state, dict) else state for name, state in table.items()}
    return {name: _MEANINGS.get(_text(state).lower(), _text(state)) for name, state in states.items()}
