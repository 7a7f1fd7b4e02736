"""The kind `openai`: language models behind the OpenAI API. A ping only lists the models, which costs nothing."""

from __future__ import annotations

import urllib.parse
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import StartError
from envmatrix.services.endpoint import Endpoint, endpoint_at
from envmatrix.services.kinds.base import Isolated, StartContext
from envmatrix.services.kinds.http import SCHEMES, read_identity
from envmatrix.services.kinds.isolation import WholeService
from envmatrix.services.ping import Ping, PingStatus
from envmatrix.services.probes.http import HttpAnswer, HttpProbe
from envmatrix.services.probes.probe import Observation, probe
from envmatrix.services.probes.reason import NoAnswerError
from envmatrix.services.processes.launch import Launch

_MORE_IDENTITY = ("scripted", "provider", "model")


class OpenAIKind:
    """`kind = "openai"`: the URL is the API's base, `https://HOST/v1`."""

    name = "openai"

    def launch(self, spec: ServiceSpec, context: StartContext) -> Launch:
        """Refuse: the declaration chooses the model, so it names the command."""
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
        """Request the health path at the server's root for its identity, and the API for its models."""
        base = endpoint.url.get_secret_value()
        root = urllib.parse.urlsplit(base)._replace(path="", query="", fragment="").geturl()
        key = endpoint.password.get_secret_value()

        def observe() -> Observation:
            with HttpProbe(endpoint, deadline) as http:
                health = http.request(root + spec.health)
                models = http.request(f"{base}/models", headers={"Authorization": f"Bearer {key}"} if key else {})
            identity: dict[str, str] = {}
            if (health.status == HTTPStatus.OK and health.json_object() is not None) or spec.identity:
                identity = read_identity(spec, health, f"GET {spec.health}", _MORE_IDENTITY)
            version = " ".join(filter(None, (identity.get("service"), identity.get("version"))))
            if models.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                return Observation(version, identity, PingStatus.DEGRADED, "api key refused")
            offered = _offered(models)
            if spec.model and spec.model not in offered:
                return Observation(version, identity, PingStatus.DEGRADED, f"does not offer the model {spec.model!r}")
            return Observation(version, identity)

        return probe(spec, deadline, observe)

    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> AbstractContextManager[Isolated]:
        """Return the whole service: it keeps no state between two calls."""
        del spec, worker
        return nullcontext(WholeService(endpoint))


def _offered(answer: HttpAnswer) -> set[str]:
    """Return the names of the models in an answer to `GET /models`."""
    data = (answer.json_object() or {}).get("data")
    if answer.status != HTTPStatus.OK or not isinstance(data, list):
        raise NoAnswerError(f"GET /models answers {answer.status} without a list of models: {answer.excerpt!r}")
    return {str(model.get("id")) for model in data if isinstance(model, dict)}


KIND = OpenAIKind()
