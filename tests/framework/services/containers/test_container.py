"""What docker and podman say of a container is read alike."""

from __future__ import annotations

from typing import Any

from envmatrix.services.containers.container import Container


def inspected(**state: Any) -> dict[str, Any]:
    """What `docker inspect` prints of a container that runs, as far as we read it; `state` changes its state."""
    return {
        "Id": "f00",
        "Created": "2026-12-01T13:27:51.396103405Z",
        "Name": "/shop-db-1",
        "Path": "docker-entrypoint.sh",
        "Args": ["postgres"],
        "RestartCount": 0,
        "State": {
            "Running": True,
            "ExitCode": 0,
            "OOMKilled": False,
            "StartedAt": "2026-12-01T13:27:52.031440143Z",
            **state,
        },
        "Config": {
            "Env": ["POSTGRES_PASSWORD=a=b", "PATH=/bin"],
            "Labels": {
                "com.docker.compose.project": "shop",
                "com.docker.compose.service": "db",
                "com.docker.compose.container-number": "2",
            },
        },
        "HostConfig": {"RestartPolicy": {"Name": "no"}},
        "NetworkSettings": {
            "Ports": {
                "5432/tcp": [{"HostIp": "::", "HostPort": "32769"}, {"HostIp": "0.0.0.0", "HostPort": "32768"}],
                "9187/tcp": None,
                "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "53"}],
            }
        },
    }


def test_ports_environment_and_place_in_the_project_are_read() -> None:
    """A port is reached on this machine, by IPv4 where it can be; one that is not published is none."""
    container = Container.read(inspected())
    assert (container.name, container.service, container.project, container.number) == ("shop-db-1", "db", "shop", 2)
    assert container.ports == {5432: ("127.0.0.1", 32768)}
    assert container.variables == {"POSTGRES_PASSWORD": "a=b", "PATH": "/bin"}
    assert container.arguments == ("docker-entrypoint.sh", "postgres")
    assert not container.restarts_itself


def test_a_container_without_labels_health_or_ports_is_read() -> None:
    """Both engines leave out, or set to null, what there is not."""
    bare = inspected(Health={"Status": "none"}) | {"NetworkSettings": {"Ports": None}, "HostConfig": None}
    bare["Config"] = {"Env": None, "Labels": None}
    container = Container.read(bare)
    assert (container.service, container.health, container.ports, container.variables) == ("", "", {}, {})


def test_what_compose_run_makes_is_no_container_of_the_service() -> None:
    """It is a command that somebody runs beside it."""
    beside = inspected()
    beside["Config"]["Labels"]["com.docker.compose.oneoff"] = "True"
    assert Container.read(beside).service == ""


def test_its_state_tells_exit_code_memory_health_and_restarts() -> None:
    """The evidence names what ended it, and what its health check says."""
    ended = inspected(Running=False, ExitCode=137, OOMKilled=True) | {"RestartCount": 2}
    assert Container.read(ended).state == "has ended with exit code 137: out of memory; it was restarted 2 x"
    sick = inspected(Health={"Status": "unhealthy"})
    assert Container.read(sick).state == "runs, and its health check says unhealthy"
