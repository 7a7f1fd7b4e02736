"""Read a Compose file by the compose command of an engine: it fills in variables and merges files as that does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from envmatrix.commands.adopt.guess import STORES, Guess, kind_of, store
from envmatrix.safety.names import is_name
from envmatrix.services.containers.project import COMPOSE_COMMANDS

FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_DEADLINE = 30
"""Seconds that a command may take."""


def compose_guesses(root: Path) -> Iterator[Guess | str]:
    """Yield the services of the project's Compose file, and notes on what they cannot tell."""
    file = next((name for name in FILES if (root / name).is_file()), None)
    if file is None:
        return
    config = _config(root, file)
    if config is None:
        yield f"{file} was not read: neither docker nor podman has a compose command here that prints it as JSON"
        return
    for name, service in config.items():
        if isinstance(service, dict):
            yield _guess(name, service, f"{file}: services.{name}")


def _config(root: Path, file: str) -> Mapping[str, Any] | None:
    for command in chain.from_iterable(COMPOSE_COMMANDS.values()):
        if shutil.which(command[0]) is None:
            continue
        words = [*command, "-f", file, "config", "--format", "json"]
        try:
            answer = subprocess.run(words, cwd=root, capture_output=True, timeout=_DEADLINE, check=True)  # noqa: S603
            services = json.loads(answer.stdout)["services"]
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
            continue  # the next command may know how
        if isinstance(services, dict):
            return services
    return None


def _guess(name: str, service: Mapping[str, Any], origin: str) -> Guess | str:
    image = str(service.get("image", ""))
    is_built = bool(service.get("build"))
    kind = "" if is_built else kind_of(image.rpartition("/")[2])
    ports = [port for port in service.get("ports") or [] if isinstance(port, dict) and port.get("published")]
    if kind and not ports:
        return store(kind, f"{origin}, image {image}, which publishes no port")
    if not ports or not (kind or is_built) or not is_name(name):
        return f"{origin} is not declared: no image of a known server, and not built here with a published port"
    keys: dict[str, tuple[object, str]] = {
        "kind": (kind or "http", f"{origin}, image {image}" if kind else f"{origin} is built here"),
        "source": ("compose", "used where it runs already, else started, and stopped after the run"),
        "service": (name, origin),
    }
    if len(ports) > 1:
        keys["port"] = (ports[0].get("target"), f"{origin}.ports, the first")
    check = re.search(r"https?://[^/\s\"']+(/[^\s\"'|;]*)", json.dumps((service.get("healthcheck") or {}).get("test")))
    if check and not kind:
        keys["health"] = (check[1], f"{origin}.healthcheck")
    return Guess(STORES.get(kind, name), keys)
