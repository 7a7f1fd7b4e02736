"""The kind `openai`: language models behind the OpenAI API. A ping only lists the models, which costs nothing."""

from __future__ import annotations

import urllib.parse
from http import HTTPStatus

from envmatrix.environments import ServiceSpec
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.http import HttpKind
from envmatrix.services.kinds.http_health import read_identity
from envmatrix.services.probes.http import HttpAnswer, HttpProbe
from envmatrix.services.probes.probe import Observation, probe
from envmatrix.services.probes.reason import NoAnswerError

_MORE_IDENTITY = ("scripted", "provider", "model")


class OpenAIKind(HttpKind):
    """`kind = "openai"`: the URL is the API's base, `https://HOST/v1`; the declared key is the endpoint's password."""

    name = "openai"

    def address(self, host: str, port: int, *, tls: bool) -> str:
        """Return the API's base URL."""
        return f"{'https' if tls else 'http'}://{host}:{port}/v1"

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Request the health path at the server's root for its identity, and the API for its models."""
        base = endpoint.url.get_secret_value()
        root = urllib.parse.urlsplit(base)._replace(path="", query="", fragment="").geturl()
        key = endpoint.password.get_secret_value()

        def observe() -> Observation:
            with HttpProbe(endpoint, deadline) as http:
                health = http.request(root + spec.health) if spec.health else None
                models = http.request(f"{base}/models", headers={"Authorization": f"Bearer {key}"} if key else {})
            identity: dict[str, str] = {}
            if health and ((health.status == HTTPStatus.OK and health.json_object() is not None) or spec.identity):
                identity = read_identity(spec, health, f"GET {spec.health}", _MORE_IDENTITY)
            version = " ".join(filter(None, (identity.get("service"), identity.get("version"))))
            status, detail = PingStatus.UP, ""
            if refused := models.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                status, detail = PingStatus.DEGRADED, "api key refused"
            elif spec.model not in {None, *_offered(models)}:
                status, detail = PingStatus.DEGRADED, f"does not offer the model {spec.model!r}"
            return Observation(
                version,
                identity,
                status,
                detail,
                refused=refused,
                skew=models.whole_skew,
                certificate=http.certificate,
            )

        return probe(spec, deadline, observe)


def _offered(answer: HttpAnswer) -> set[str]:
    """Return the names of the models in an answer to `GET /models`."""
    data = (answer.json_object() or {}).get("data")
    if answer.status != HTTPStatus.OK or not isinstance(data, list):
        raise NoAnswerError(f"GET /models answers {answer.status} without a list of models: {answer.excerpt!r}")
    return {str(model.get("id")) for model in data if isinstance(model, dict)}


KIND = OpenAIKind()
