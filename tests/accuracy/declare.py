"""Declarations of environments, made of the services that a case needs."""

from __future__ import annotations

import json
from typing import Any

USERS = """
[users]
service = "backend"
signup = "/signup"
login = "/login"
me = "/me"
"""


def service(name: str = "backend", **keys: Any) -> str:
    """Return the table of one of our own HTTP services; `keys` are added to it, or stand instead."""
    env = {"SERVICE": name, "ENVIRONMENT": "{environment}"} | keys.pop("env", {})
    ours: dict[str, Any] = {
        "kind": "http",
        "source": "process",
        "command": ["{python}", "-S", "faulty_server.py", f"{{{name}.port}}"],
        "env": env,
        "identity": {"service": name, "environment": "tiny"},
        "protected": "/me",
        "start_deadline": 10.0,
    }
    return table(name, **ours | keys)


def remote(name: str = "backend", **keys: Any) -> str:
    """Return the table of an HTTP service that somebody else runs."""
    ours: dict[str, Any] = {
        "kind": "http",
        "source": "remote",
        "url": "${BACKEND_URL}",
        "identity": {"service": name, "environment": "tiny"},
        "protected": "/me",
    }
    return table(name, **ours | keys)


def table(name: str, **keys: Any) -> str:
    """Return any service's table; what is `None` is left out."""
    lines = [f"{key} = {_toml(value)}" for key, value in keys.items() if value is not None]
    return "\n".join([f"[services.{name}]", *lines, ""])


def absent(name: str, kind: str) -> str:
    """Return the table of a service that the environment does not have."""
    return table(name, kind=kind, source="absent")


def environment(*tables: str, users: str = USERS) -> str:
    """Return a declaration."""
    return "\n".join([*tables, users])


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)  # texts, numbers, flags and lists are written the same way in both


TINY = environment(service(), absent("redis", "redis"))
"""One service, which makes its own users."""
