"""What an engine says of a container: its state, its ports and its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ONE_OFF = "com.docker.compose.oneoff"
"""The label of what `compose run` makes beside a service."""
_EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  where others listen
_NO_POLICY = frozenset({"", "no"})
_NO_HEALTH = frozenset({"", "none"})


@dataclass(frozen=True, slots=True)
class Container:
    """A container, as it was when its engine was asked."""

    id: str
    name: str
    service: str
    """Its service in the Compose project; empty where it is of none."""
    project: str
    """Its Compose project; empty where it is of none."""
    pod: str
    """The pod that podman keeps it in; empty where it is in none."""
    number: int
    """Its number among the containers of its service, from 1."""
    created: str
    """When it was made, as its engine writes it."""
    is_running: bool
    started: str
    """When it was last started, as its engine writes it."""
    exit_code: int
    """Of its last end; 128 and more: the signal that ended it."""
    out_of_memory: bool
    """Whether the kernel ended it for want of memory."""
    health: str
    """What its health check says: `starting`, `healthy`, `unhealthy`; empty where it has none."""
    restarts_itself: bool
    """Whether its engine starts it again when it ends by itself."""
    restarts: int
    """How often the engine has started it again."""
    ports: Mapping[int, tuple[str, int]]
    """TCP port inside → host and port where it is published."""
    variables: Mapping[str, str]
    """Its environment, that of its image included. May hold secrets."""
    arguments: tuple[str, ...]
    """What it runs. May hold secrets."""

    @classmethod
    def read(cls, inspected: Mapping[str, Any]) -> Container:
        """Return the container that one object of `docker inspect` or `podman inspect` describes."""
        state, config = inspected["State"], inspected["Config"]
        labels = config.get("Labels") or {}
        health = (state.get("Health") or {}).get("Status") or ""
        return cls(
            id=inspected["Id"],
            name=inspected["Name"].lstrip("/"),
            service="" if labels.get(_ONE_OFF) == "True" else labels.get("com.docker.compose.service", ""),
            project=labels.get("com.docker.compose.project", ""),
            pod=inspected.get("Pod") or "",
            number=int(labels.get("com.docker.compose.container-number") or 1),
            created=inspected["Created"],
            is_running=state["Running"],
            started=state["StartedAt"],
            exit_code=state["ExitCode"],
            out_of_memory=state["OOMKilled"],
            health="" if health in _NO_HEALTH else health,
            restarts_itself=_policy(inspected) not in _NO_POLICY,
            restarts=inspected.get("RestartCount") or 0,
            ports=dict(_published(inspected["NetworkSettings"].get("Ports") or {})),
            variables=dict(text.partition("=")[::2] for text in config.get("Env") or ()),
            arguments=(inspected.get("Path") or "", *(inspected.get("Args") or ())),
        )

    @property
    def state(self) -> str:
        """Return how it is, for people."""
        if not self.is_running:
            cause = ": out of memory" if self.out_of_memory else ""
            how = f"has ended with exit code {self.exit_code}{cause}"
        else:
            how = f"runs, and its health check says {self.health}" if self.health else "runs"
        return f"{how}; it was restarted {self.restarts} x" if self.restarts else how


def _policy(inspected: Mapping[str, Any]) -> str:
    return ((inspected.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or ""


def _published(ports: Mapping[str, list[Mapping[str, str]] | None]) -> list[tuple[int, tuple[str, int]]]:
    """Return each published TCP port: `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}`."""
    found = []
    for inside, places in ports.items():
        number, _, protocol = inside.partition("/")
        if places and protocol in {"", "tcp"}:
            place = min(places, key=lambda each: ":" in (each.get("HostIp") or ""))  # IPv4 first
            host = place.get("HostIp") or ""
            found.append((int(number), ("127.0.0.1" if host in _EVERY_ADDRESS else host, int(place["HostPort"]))))
    return found
