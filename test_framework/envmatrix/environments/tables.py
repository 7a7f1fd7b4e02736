"""What every table of a declaration shares: it is frozen and refuses unknown keys."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WrapValidator

Seconds = Annotated[float, Field(gt=0, le=3600)]
UrlPath = Annotated[str, Field(pattern=r"^/")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^@?#]+$")]
"""A URL without a login."""
HealthPath = Annotated[
    UrlPath, WrapValidator(lambda value, handler: "" if value is False or value == "" else handler(value))
]
"""A path, or empty where `false` is declared."""
StatusCode = Annotated[int, Field(ge=100, le=599)]


class Table(BaseModel):
    """One table of a TOML file."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
