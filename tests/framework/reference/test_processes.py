"""The services as processes: configuration, dependencies that are missing or down, and the end."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import trustme
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from environments.reference import server
from environments.reference.backend.settings import BackendSettings
from environments.reference.settings import ServiceSettings, load
from envmatrix.services.processes.ports import free_port
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory
from tests.framework.reference import deployment
from tests.framework.reference.deployment import REPOSITORY, Service, Services, Socket, User, sign_up, until
from tests.framework.reference.test_websocket import FIVE
from tests.framework.services.place import runs

STOPS_WITHIN = 2.0


@pytest.fixture(scope="module")
def alone(services: dict[str, Service], launcher: Services) -> Iterator[tuple[Service, Service]]:
    """Return the auth stub and a backend whose model is absent and whose ClickHouse is down."""
    clickhouse = f"http://default:hidden-password@127.0.0.1:{free_port()}/default"
    with (
        launcher.running("stubs") as stub,
        launcher.running("backend", **stores(services), AUTH_URL=stub.url, CLICKHOUSE_URL=clickhouse) as backend,
    ):
        yield stub.ready(), backend.ready()


def stores(services: dict[str, Service]) -> dict[str, str]:
    """Return where the stores are, as a service is told."""
    return {name: services["backend"].env[name] for name in ("DATABASE_URL", "REDIS_URL")}


def test_importing_the_services_does_nothing() -> None:
    """No thread, no socket, no variable of the environment read: a fork server may fork afterwards."""
    program = """
import os, socket, sys, threading
def audit(event, args):
    if event in {"socket.__new__", "socket.connect", "socket.bind", "_thread.start_new_thread", "subprocess.Popen"}:
        print(event)
import asyncio, uvicorn, fastapi, psycopg_pool, redis.asyncio, httpx, joserfc, argon2, pydantic_settings, httpcore
for name in ("DATABASE_URL", "PORT", "LLM_MODEL", "TLS_CERT_FILE"):
    os.environ[name] = "not/valid/for/any"
sys.addaudithook(audit)
import environments.reference.auth, environments.reference.backend
import environments.reference.llm.real, environments.reference.stubs
assert threading.active_count() == 1
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.fault("unset-variable")
def test_a_missing_or_wrong_variable_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names every variable that is wrong, and shows no value."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hidden-password@h/d")
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.delenv("AUTH_URL", raising=False)
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(SystemExit) as ended:
        load(BackendSettings, "environments.reference.backend")
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("environments.reference.backend: PORT: ")
    assert "REDIS_URL: not set; AUTH_URL: not set" in said
    assert said.count("\n") == 1
    assert "hidden-password" not in said


def test_the_command_ends_like_that_too() -> None:
    """`python -m` without its variables: exit 2, one line, no traceback."""
    command = [sys.executable, "-m", "environments.reference.auth"]
    done = subprocess.run(command, cwd=REPOSITORY, env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.fault("port-in-use")
def test_a_taken_port_is_one_line_and_exit_1(services: dict[str, Service], capsys: pytest.CaptureFixture[str]) -> None:
    """The line names the address."""
    taken = services["llm"].port
    with pytest.raises(SystemExit) as ended:
        server._bind("llm", ServiceSettings(), taken)
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"llm: cannot listen on 127.0.0.1:{taken}: Address already in use\n"


@pytest.mark.parametrize("module", ["auth", "llm", "backend"])
def test_health_says_who_answers(services: dict[str, Service], module: str) -> None:
    """Name, environment, version and commit are there."""
    health = services[module].health()
    assert health is not None
    said = health.json()
    assert said.items() >= {"service": module, "environment": "test", "commit": "abc123", "version": "0.1.0"}.items()


def test_readiness_names_every_dependency(services: dict[str, Service]) -> None:
    """All that are configured are up, what is not configured is absent."""
    assert services["backend"].dependencies() == {
        "database": "up",
        "redis": "up",
        "auth": "up",
        "llm": "up",
        "clickhouse": "absent",
    }


def test_without_a_model_an_agent_says_so(alone: tuple[Service, Service]) -> None:
    """One typed error and no events; the rest of the backend works, with the stub's tokens."""
    stub, backend = alone
    with httpx.Client(base_url=stub.url, trust_env=False) as auth:
        user = sign_up(auth)
        with deployment.open_socket(backend, user) as socket:
            events = socket.run("triage_agent", "x")
            assert [(event["type"], event["error"]) for event in events] == [("error", "llm unavailable")]
            assert socket.silent()


def test_analytics_that_are_down_degrade_and_harm_nobody(alone: tuple[Service, Service]) -> None:
    """The backend is degraded, not unavailable, and answers that there are no analytics."""
    stub, backend = alone
    assert backend.dependencies()["clickhouse"] == "down"
    answer = backend.health("/health/ready")
    assert answer is not None
    assert answer.json()["status"] == "degraded"
    with httpx.Client(base_url=stub.url, trust_env=False) as auth:
        user = sign_up(auth)
    events = httpx.get(f"{backend.url}/api/analytics/events", headers=user.bearer, trust_env=False)
    assert events.json() == {"available": False, "events": [], "dropped": 0}


def test_the_stub_admits_what_it_is_and_honours_every_refusal(alone: tuple[Service, Service]) -> None:
    """`stub: true` on /health; audience, logout, key revocation and deletion count as they do with the real one."""
    stub, backend = alone
    health = stub.health()
    assert health is not None
    assert health.json()["stub"] is True
    with (
        httpx.Client(base_url=stub.url, trust_env=False) as auth,
        httpx.Client(base_url=backend.url, trust_env=False) as api,
    ):
        user = sign_up(auth)
        assert api.get("/api/me", headers=user.bearer).json()["user_id"] == user.user_id
        foreign = user.login(audience="reporting")["access_token"]
        assert api.get("/api/me", headers={"Authorization": f"Bearer {foreign}"}).status_code == 401
        made = auth.post("/auth/api-keys", headers=user.bearer).json()
        key = {"X-API-Key": made["api_key"]}
        assert api.get("/api/me", headers=key).json()["user_id"] == user.user_id
        auth.delete(f"/auth/api-keys/{made['key_id']}", headers=user.bearer).raise_for_status()
        assert api.get("/api/me", headers=key).status_code == 401
        old = user.tokens["refresh_token"]
        fresh = auth.post("/auth/refresh", json={"refresh_token": old}).raise_for_status().json()
        assert auth.post("/auth/refresh", json={"refresh_token": old}).status_code == 401
        assert api.get("/api/me", headers={"Authorization": f"Bearer {fresh['access_token']}"}).status_code == 401
        again = {"Authorization": f"Bearer {user.login()['access_token']}"}
        assert auth.delete("/auth/me", headers=again).status_code == 204
        assert api.get("/api/me", headers=again).status_code == 401


def test_analytics_are_written_to_a_real_clickhouse(
    launcher: Services, services: dict[str, Service], run_dir: SupervisorDirectory, new_user: Callable[[], User]
) -> None:
    """The events of a run are there soon after it, for its own user only."""
    pytest.importorskip("chdb", reason="needs the extra clickhouse")
    told = {**services["backend"].env, "PORT": str(free_port()), "WORKERS": "1"}
    user, other = new_user(), new_user()
    with deployment.store("clickhouse", run_dir) as clickhouse:
        told["CLICKHOUSE_URL"] = clickhouse
        with (
            launcher.running("backend", int(told["PORT"]), **told) as backend,
            httpx.Client(base_url=backend.url, trust_env=False) as client,
        ):

            def events(of: User) -> list[dict[str, Any]]:
                return client.get("/api/analytics/events", headers=of.bearer).json()["events"]

            with deployment.open_socket(backend.ready(), user) as socket:
                run = socket.run("data_analysis", "1 and 2")[-1]["data"]
            seen = until(lambda: (found := events(user)) and len(found) == 2 and found, "the events of the run")
            assert [event["event"] for event in seen] == ["agent_started", "agent_completed"]
            assert {event["run_id"] for event in seen} == {run["run_id"]}
            assert events(other) == []
            assert backend.dependencies()["clickhouse"] == "up"


def test_a_backend_without_its_stores_is_alive_and_unavailable(launcher: Services) -> None:
    """/health answers, /health/ready is 503 and names what is down; no password reaches the log."""
    nobody = free_port()
    urls = {
        "DATABASE_URL": f"postgresql://u:hidden-password@127.0.0.1:{nobody}/d",
        "REDIS_URL": f"redis://:hidden-password@127.0.0.1:{nobody}/0",
        "AUTH_URL": f"http://127.0.0.1:{nobody}",
    }
    with launcher.running("backend", **urls) as backend:
        assert until(backend.health, "the backend to listen").status_code == 200
        answer = backend.health("/health/ready")
        assert answer is not None
        assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
        assert set(backend.dependencies().values()) == {"down", "absent"}
        refused = httpx.get(f"{backend.url}/api/me", headers={"X-API-Key": "ref_a_b"}, trust_env=False)
        assert (refused.status_code, refused.json()) == (503, {"detail": "auth unavailable"})
    assert "hidden-password" not in backend.log.read_text()


def test_sigterm_ends_a_service_with_open_websockets(
    alone: tuple[Service, Service], launcher: Services, services: dict[str, Service]
) -> None:
    """Clients are told (1012), and every worker is gone within two seconds."""
    stub, _ = alone
    with (
        httpx.Client(base_url=stub.url, trust_env=False) as auth,
        launcher.running("backend", WORKERS="2", AUTH_URL=stub.url, **stores(services)) as backend,
    ):
        backend.ready()
        workers = psutil.Process(backend.pid).children()
        assert len(workers) == 2
        with deployment.open_socket(backend, sign_up(auth)) as socket:
            assert socket.silent()
            assert backend.stop() < STOPS_WITHIN
            with pytest.raises(ConnectionClosed) as closed:
                socket.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert backend.exit_code == 0
        assert not any(worker.is_running() for worker in workers)


@pytest.mark.fault("fork-grandchild")
def test_workers_end_with_a_parent_that_is_killed(launcher: Services) -> None:
    """SIGKILL gives the parent no chance to end them: they see its pipe close."""
    with launcher.running("llm", WORKERS="2") as service:
        service.ready()
        process = psutil.Process(service.pid)
        workers = process.children()
        process.kill()
        assert len(workers) == 2
        until(lambda: not any(runs(worker.pid) for worker in workers), "the end of the workers")


def test_tls_is_spoken_and_verified(launcher: Services, services: dict[str, Service], tmp_path: Path) -> None:
    """HTTPS and WSS with the authority's certificate; a backend that doesn't know the authority trusts nobody."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    own = {"TLS_CERT_FILE": str(tmp_path / "cert.pem"), "TLS_KEY_FILE": str(tmp_path / "key.pem")}
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))

    def over_tls(service: Service) -> httpx.Client:
        return httpx.Client(base_url=f"https://127.0.0.1:{service.port}", verify=context, trust_env=False)

    def answer(client: httpx.Client, path: str) -> httpx.Response | None:
        with contextlib.suppress(httpx.ConnectError):
            return client.get(path)
        return None

    with launcher.running("stubs", **own) as stub, over_tls(stub) as auth:
        told = {**stores(services), "AUTH_URL": f"https://127.0.0.1:{stub.port}"}
        ca_file = {"TLS_CA_FILE": str(tmp_path / "ca.pem")}
        until(lambda: answer(auth, "/health"), "the stub")
        with (
            launcher.running("backend", **own, **ca_file, **told) as trusting,
            launcher.running("backend", **told) as wary,
            over_tls(trusting) as client,
        ):
            until(lambda: (ready := answer(client, "/health/ready")) and ready.status_code == 200, "the backend")
            user = sign_up(auth)
            assert client.get("/api/me", headers=user.bearer).json()["user_id"] == user.user_id
            url = f"wss://127.0.0.1:{trusting.port}/ws"
            with connect(url, additional_headers=user.bearer, ssl=context, proxy=None) as socket:
                assert Socket(socket).silent()
            until(wary.health, "the wary backend")
            until(lambda: wary.dependencies()["database"] == "up", "its database")
            assert wary.dependencies()["auth"] == "down"


class FaultyModel(BaseHTTPRequestHandler):
    """A model's server that is busy, or breaks off in the middle of a stream, as the model's name says."""

    asked = 0

    def do_POST(self) -> None:
        """Fail."""
        type(self).asked += 1
        name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"]
        if name == "busy":
            self.send_response(429)
            self.send_header("Retry-After-Ms", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            choice = {"index": 0, "delta": {"content": "half an ans"}, "finish_reason": None}
            chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": name, "choices": [choice]}
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        pytest.param("busy", 3, marks=pytest.mark.fault("llm-429")),
        pytest.param("cut", 1, marks=pytest.mark.fault("llm-stream-cut")),
    ],
)
def test_a_model_that_fails_ends_the_run_with_a_typed_error(
    launcher: Services, services: dict[str, Service], new_user: Callable[[], User], model: str, asked: int
) -> None:
    """Four events and an error; a busy model is asked three times, half an answer is not kept as one."""
    FaultyModel.asked = 0
    user = new_user()
    with ThreadingHTTPServer(("127.0.0.1", 0), FaultyModel) as server:
        threading.Thread(target=server.serve_forever).start()
        told = {
            **stores(services),
            "AUTH_URL": services["auth"].url,
            "LLM_URL": f"http://127.0.0.1:{server.server_port}/v1",
            "LLM_MODEL": model,
        }
        with launcher.running("backend", **told) as backend, deployment.open_socket(backend.ready(), user) as socket:
            events = socket.run("triage_agent", "x")
            assert [event["type"] for event in events] == [*FIVE[:-1], "error"]
            assert events[-1]["error"] == "llm unavailable"
            assert events[-1]["data"]["run_id"] == events[0]["data"]["run_id"]
            shown = socket.ask(type="get_thread", thread_id=events[0]["data"]["thread_id"])
            assert [message["role"] for message in shown["data"]["messages"]] == ["user"]
        server.shutdown()
    assert FaultyModel.asked == asked
