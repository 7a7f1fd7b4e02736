"""Report a declaration as it is used: each value, and what decides it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from itertools import groupby

from envmatrix.environments.resolved import ResolvedValue
from envmatrix.masking import MASKER
from envmatrix.report import documents
from envmatrix.report.text import inert

SCHEMA = 1
_WIDEST = 60
"""Characters before an origin."""


def as_text(label: str, values: Sequence[ResolvedValue]) -> str:
    """Return a line for each value, by the name that `--set` takes, with its origin behind it."""
    blocks = [f"# {inert(label)}\n"]
    for _, group in groupby(values, key=_table):
        lines = [(_line(each), _origin(each)) for each in group]
        width = min(max(len(line) for line, _ in lines), _WIDEST)
        blocks.append("".join(f"{line:{width}}  # {origin}\n" for line, origin in lines))
    return MASKER.mask("\n".join(blocks))


def as_json(label: str, values: Sequence[ResolvedValue]) -> str:
    """Return everything as one document."""
    document = {"schema": SCHEMA, "label": label, "values": [_plain(each) for each in values]}
    return MASKER.mask(documents.as_json(document))


def _table(each: ResolvedValue) -> tuple[str, ...]:
    return each.keys[: min(2 if each.keys[0] in {"services", "variants"} else 1, len(each.keys) - 1)]


def _plain(each: ResolvedValue) -> dict[str, object]:
    file = os.path.relpath(each.file) if each.file else None
    return {"keys": each.keys, "value": each.value, "file": file, "line": each.line, "variables": each.variables}


def _line(each: ResolvedValue) -> str:
    keys = ".".join(key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key) for key in each.keys)
    return inert(f"{keys} = {json.dumps(each.value, ensure_ascii=False)}")


def _origin(each: ResolvedValue) -> str:
    place = f"{os.path.relpath(each.file)}{f':{each.line}' if each.line else ''}" if each.file else "default"
    return inert(", ".join([place, *(f"{name}: {by}" for name, by in each.variables.items())]))
