"""Read a Compose file by the compose command of an engine: it fills in variables and merges files as that does."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from envmatrix.commands.adopt.guess import EMBEDDED, STORES, Guess, in_order, kind_of, store
from envmatrix.safety.names import is_name
from envmatrix.services.containers.commands import found
from envmatrix.services.containers.project import COMPOSE_COMMANDS, PODMAN_COMPOSE

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
        what = "neither docker nor podman has a compose command here that prints it"
        yield f"{file} was not read: {what}; podman-compose's needs pip install 'envmatrix[compose]'"
        return
    services = {name: service for name, service in config.items() if isinstance(service, dict)}
    steps = {name for service in services.values() for name in _run_to_their_end(service)}
    guesses = []
    for name, service in services.items():
        origin = f"{file}: services.{name}"
        if name in steps:
            yield f"{origin} is not declared: it runs to its end, and is started with what depends on it"
            continue
        guess = _guess(name, service, origin)
        if isinstance(guess, Guess):
            guesses.append(guess)
        else:
            yield guess
    yield from in_order(guesses)


def _run_to_their_end(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield the services that must have ended before this one is started."""
    depends = service.get("depends_on")
    for name, how in depends.items() if isinstance(depends, dict) else ():
        if isinstance(how, dict) and how.get("condition") == "service_completed_successfully":
            yield name


def _config(root: Path, file: str) -> Mapping[str, Any] | None:
    for command in chain.from_iterable(COMPOSE_COMMANDS.values()):
        program = found(command[0])
        if program is None:
            continue
        is_podman_compose = command == (PODMAN_COMPOSE,)
        words = [program, *command[1:], "-f", file, "config", *([] if is_podman_compose else ["--format", "json"])]
        try:
            answer = subprocess.run(words, cwd=root, capture_output=True, timeout=_DEADLINE, check=True)  # noqa: S603
            text = answer.stdout.decode()
            services = (_from_yaml(text) if is_podman_compose else json.loads(text))["services"]
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
            continue  # the next command may know how
        if isinstance(services, dict):
            return services
    return None


def _from_yaml(text: str) -> Any:
    """Return what podman-compose prints, which knows no JSON.

    Raises:
        ValueError: it is no YAML, or nothing here reads that.
    """
    try:
        import yaml
    except ImportError:
        raise ValueError("no YAML") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("no YAML") from error


def _guess(name: str, service: Mapping[str, Any], origin: str) -> Guess | str:
    image = str(service.get("image", ""))
    is_built = bool(service.get("build"))
    kind = "" if is_built else kind_of(image.rpartition("/")[2])
    ports = [_inside(port) for port in service.get("ports") or []]
    if kind in EMBEDDED and not ports:
        return store(kind, f"{origin}, image {image}, which publishes no port")
    if not ((kind and ports) or is_built) or not is_name(name):
        return f"{origin} is not declared: no image of a known server, and not built here"
    what = kind or ("http" if ports else "background")
    keys: dict[str, tuple[object, str]] = {
        "kind": (what, f"{origin}, image {image}" if kind else f"{origin} is built here"),
        "source": ("compose", "used where it runs already, else started, and stopped after the run"),
        "service": (name, origin),
    }
    if len(ports) > 1:
        keys["port"] = (ports[0], f"{origin}.ports, the first")
    check = re.search(r"https?://[^/\s\"']+(/[^\s\"'|;]*)", json.dumps((service.get("healthcheck") or {}).get("test")))
    if check and what == "http":
        keys["health"] = (check[1], f"{origin}.healthcheck")
    return Guess(STORES.get(kind, name), keys)


def _inside(port: object) -> object:
    """Return the port inside of what is published: of a table, or of `127.0.0.1:8080:80/tcp`, as podman-compose leaves it."""
    if isinstance(port, dict):
        return port.get("target")
    inside = str(port).rpartition(":")[2].partition("/")[0]
    return int(inside) if inside.isdecimal() else inside
