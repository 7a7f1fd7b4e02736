"""Read a Compose file by the compose command of an engine: it fills in variables and merges files as that does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from envmatrix.commands.adopt.guess import Guess, kind_of, store
from envmatrix.safety.names import is_name

FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_COMMANDS = (("docker", "compose"), ("docker-compose",), ("podman", "compose"), ("podman-compose",))
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
    for command in _COMMANDS:
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
    if not service.get("build") and (kind := kind_of(image.rpartition("/")[2])):
        return store(kind, f"{origin}, image {image}")
    ports = service.get("ports") or []
    published = next((port["published"] for port in ports if isinstance(port, dict) and port.get("published")), None)
    if not service.get("build") or published is None or not is_name(name):
        return f"{origin} is not declared: no image of a known server, and not built here with a published port"
    keys = {
        "kind": ("http", f"{origin} is built here"),
        "source": ("remote", "it must be up: docker compose up"),
        "url": (f"http://127.0.0.1:{published}", f"{origin}.ports"),
    }
    check = re.search(r"https?://[^/\s\"']+(/[^\s\"'|;]*)", json.dumps((service.get("healthcheck") or {}).get("test")))
    if check:
        keys["health"] = (check[1], f"{origin}.healthcheck")
    return Guess(name, keys)
