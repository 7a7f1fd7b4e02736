"""The JSON documents of reports: each has a schema number, raised when older readers would misread the document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class DocumentPart(BaseModel):
    """A part of a document whose schema is a model."""

    model_config = ConfigDict(frozen=True)


def as_json(document: BaseModel | Mapping[str, Any]) -> str:
    """Return a document as text, ASCII only: a lone surrogate in a test's name stays a JSON escape."""
    values = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
    return json.dumps(values, indent=2) + "\n"
