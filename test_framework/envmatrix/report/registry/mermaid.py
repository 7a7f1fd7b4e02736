"""The registry as a Mermaid flowchart, which GitHub and most viewers of Markdown draw."""

from __future__ import annotations

import re

from envmatrix.analysis.index.registry import Registry
from envmatrix.report.text import inert

_SHAPES = {"session": ('(["', '"])'), "function": ('["', '"]')}
_WIDER_THAN_A_TEST = ('("', '")')
"""The shape of a package's, module's or class's fixture."""
_SYNTAX = re.compile(r"[^\w./-]", re.ASCII)
"""Characters that Mermaid, Markdown or HTML might read as their own."""


def as_mermaid(registry: Registry, name: str = "") -> str:
    """Return the graph of the tree's own fixtures, or of one with its needs and its users.

    A fixture without an edge is left out, unless it is the one asked for.
    """
    shown = (registry.around(name) if name else registry).own
    ids = {provider.place: f"f{number}" for number, provider in enumerate(shown.providers)}
    edges = [
        (ids[need], ids[provider.place])
        for provider in shown.providers
        for need in provider.needs_places
        if need in ids
    ]
    joined = {end for edge in edges for end in edge}
    lines = ["flowchart LR"]
    for provider in shown.providers:
        if (here := ids[provider.place]) in joined or provider.name == name:
            before, after = _SHAPES.get(provider.scope, _WIDER_THAN_A_TEST)
            lines.append(f"  {here}{before}{_label(provider.name)}<br>{_label(provider.path)}{after}")
    lines += [f"  {need} --> {user}" for need, user in edges]
    return "".join(f"{line}\n" for line in lines)


def _label(text: str) -> str:
    return _SYNTAX.sub(lambda match: f"#{ord(match[0])};", inert(text))
