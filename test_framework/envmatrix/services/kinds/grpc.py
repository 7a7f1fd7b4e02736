"""The kind `grpc`: servers that speak gRPC's own health protocol, `grpc.health.v1`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from envmatrix.environments import ServiceSpec
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.url_kind import UrlKind
from envmatrix.services.probes.probe import Observation, WrongIdentityError, probe, wrong_identity
from envmatrix.services.probes.reason import NoAnswerError, RefusedError, timeout_reason
from envmatrix.services.processes.wheels import need

if TYPE_CHECKING:
    import grpc

_OPTIONS = (("grpc.enable_http_proxy", 0),)


class GrpcKind(UrlKind):
    """`kind = "grpc"`: up where the server, or the service that `identity` names, says SERVING."""

    name = "grpc"
    schemes: ClassVar = {"grpc": 80, "grpcs": 443}

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at a grpc or grpcs URL."""
        need("grpc_health", "grpc")
        return super().connect(spec, url)

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Ask for the health of the declared service; of the whole server where none is declared."""
        import grpc
        from grpc_health.v1 import health_pb2, health_pb2_grpc

        asked = spec.identity.get("service", "")

        def observe() -> Observation:
            with _channel(endpoint) as channel:
                try:
                    request = health_pb2.HealthCheckRequest(service=asked)
                    answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=deadline)
                except grpc.RpcError as error:
                    raise _explained(error, asked, deadline) from error
            identity = {"service": asked} if asked else {}
            if wrong := wrong_identity(spec, identity):
                raise WrongIdentityError(wrong, identity)
            status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            if status == "SERVING":
                return Observation(identity=identity)
            return Observation(identity=identity, status=PingStatus.DEGRADED, detail=f"it says {status}")

        return probe(spec, deadline, observe)


def _channel(endpoint: Endpoint) -> grpc.Channel:
    import grpc

    target = f"[{endpoint.host}]:{endpoint.port}" if ":" in endpoint.host else f"{endpoint.host}:{endpoint.port}"
    if not endpoint.field("url").startswith("grpcs:"):
        return grpc.insecure_channel(target, options=_OPTIONS)
    try:
        authority = Path(endpoint.ca_file).read_bytes() if endpoint.ca_file else None
    except OSError:
        raise NoAnswerError(f"was not asked: its ca_file {endpoint.ca_file} cannot be read") from None
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(authority), options=_OPTIONS)


def _explained(error: grpc.RpcError, asked: str, seconds: float) -> NoAnswerError:
    """Return the error for an answer that is none."""
    import grpc

    match error.code():
        case grpc.StatusCode.NOT_FOUND:
            return WrongIdentityError(f"knows no service {asked!r}", {})
        case grpc.StatusCode.UNIMPLEMENTED:
            return NoAnswerError("does not speak the health protocol grpc.health.v1")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return NoAnswerError(timeout_reason(seconds))
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return RefusedError(f"refuses: {error.details()}")
    return NoAnswerError(f"{error.code().name.lower()}: {error.details()}")


KIND = GrpcKind()
