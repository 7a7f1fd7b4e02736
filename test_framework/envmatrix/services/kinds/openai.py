"""Language models behind the OpenAI API. A ping lists the models and asks no question: questions cost money."""

from __future__ import annotations

import urllib.parse
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import StartError
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.kinds.base import Endpoint, Isolated, Launch, StartContext
from envmatrix.services.kinds.http import SCHEMES, read_identity
from envmatrix.services.probes.look import NoAnswerError, Sight, Whole, endpoint_at, look
from envmatrix.services.probes.visit import Answer, Visit

_MORE_IDENTITY = ("scripted", "provider", "model")


class OpenAIKind:
    """`kind = "openai"`: the URL is the API's base, `https://HOST/v1`."""

    name = "openai"

    def launch(self, spec: ServiceSpec, context: StartContext) -> Launch:
        """Refuse: which model to run is the declaration's choice, so it names the command."""
        del context
        raise StartError(spec.name, "of kind 'openai' cannot be embedded: use source = \"process\" with a command")

    def address(self, spec: ServiceSpec, host: str, port: int, *, tls: bool) -> str:
        """Return the API's base URL."""
        del spec
        return f"{'https' if tls else 'http'}://{host}:{port}/v1"

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at an API's base URL, with the declared key as its password."""
        return endpoint_at(spec, url, schemes=SCHEMES)

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Ask the health path at the server's root who it is, and the API which models it has."""
        base = endpoint.url.get_secret_value()
        root = urllib.parse.urlsplit(base)._replace(path="", query="", fragment="").geturl()
        key = endpoint.password.get_secret_value()

        def see() -> Sight:
            with Visit(endpoint, deadline) as visit:
                health = visit.ask(root + spec.health)
                models = visit.ask(f"{base}/models", headers={"Authorization": f"Bearer {key}"} if key else {})
            identity: dict[str, str] = {}
            if (health.status == HTTPStatus.OK and health.json_object() is not None) or spec.identity:
                identity = read_identity(spec, health, f"GET {spec.health}", _MORE_IDENTITY)
            version = " ".join(filter(None, (identity.get("service"), identity.get("version"))))
            if models.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                return Sight(version, identity, PingStatus.DEGRADED, "api key refused")
            offered = _offered(models)
            if spec.model and spec.model not in offered:
                return Sight(version, identity, PingStatus.DEGRADED, f"does not offer the model {spec.model!r}")
            return Sight(version, identity)

        return look(spec, deadline, see)

    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> AbstractContextManager[Isolated]:
        """Give the whole service: it keeps no state between two calls."""
        del spec, worker
        return nullcontext(Whole(endpoint))


def _offered(answer: Answer) -> set[str]:
    """Return the names of the models in an answer to `GET /models`."""
    data = (answer.json_object() or {}).get("data")
    if answer.status != HTTPStatus.OK or not isinstance(data, list):
        raise NoAnswerError(f"GET /models answers {answer.status} without a list of models: {answer.excerpt!r}")
    return {str(model.get("id")) for model in data if isinstance(model, dict)}


KIND = OpenAIKind()
