"""The registry for programs."""

from __future__ import annotations

import json
from typing import Any

from envmatrix.analysis.index.registry import Provider, Registry

SCHEMA = 1


def as_json(registry: Registry, name: str = "") -> str:
    """Return every fixture, or those of one name, with all facts about each."""
    fixtures = [
        {"name": each, "providers": [_provider(provider) for provider in providers]}
        for each, providers in registry.by_name.items()
        if name in {"", each}
    ]
    return json.dumps({"schema": SCHEMA, "fixtures": fixtures}, indent=2) + "\n"


def _provider(provider: Provider) -> dict[str, Any]:
    shape = provider.shape
    return {
        "path": provider.path or None,
        "line": provider.line if provider.path else None,
        "plugin": provider.plugin or None,
        "visible_from": list(provider.visible),
        "scope": provider.scope or None,
        "autouse": provider.is_autouse,
        "params": provider.has_params,
        "document": provider.document,
        "yields": None
        if shape is None
        else {
            "kind": shape.kind,
            "type": shape.type,
            "keys": [key.name for key in shape.keys],
            "complete": shape.is_complete,
        },
        "needs": list(provider.needs),
        "used_by": list(provider.users),
    }
