"""The `[tool.envmatrix]` table of a project's `pyproject.toml`: where the environments and the suites are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from test_framework.environments.toml_file import read_toml
from test_framework.exceptions import DeclarationError, UnknownKeyError, nearest


class Project(BaseModel):
    """What one project tells us about itself. Paths are as written, relative to `root`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    environments: str = "environments"
    """The directory of TOML files."""
    suites: tuple[str, ...] = ()
    """What pytest is given in every environment; pytest's own `testpaths` by default."""
    runs: str = ".envmatrix/runs"
    """Where run files are written, one directory a matrix."""
    contracts: dict[str, str] = Field(default_factory=dict)
    """Fixture name → `module:Class` of the contract it must keep, beside `real_services` and `real_llm`."""
    deadline: Annotated[float, Field(gt=0)] = 1800.0
    """Seconds that one environment's run may take."""

    @property
    def environments_dir(self) -> Path:
        """Return the directory of TOML files, absolute."""
        return self.root / self.environments

    @property
    def runs_dir(self) -> Path:
        """Return the directory below which runs are written, absolute."""
        return self.root / self.runs

    @classmethod
    def find(cls, start: Path) -> Project:
        """Load the table from the nearest `pyproject.toml` at or above a directory; defaults where there is none.

        Raises:
            DeclarationError: the table is wrong.
        """
        start = start.resolve()
        for directory in (start, *start.parents):
            path = directory / "pyproject.toml"
            if path.is_file():
                return cls._read(path)
        return cls(root=start)

    @classmethod
    def _read(cls, path: Path) -> Project:
        file = read_toml(path)
        tool = file.data.get("tool", {})
        table = tool.get("envmatrix", {}) if isinstance(tool, dict) else {}
        if not isinstance(table, dict):
            raise DeclarationError(path, "tool.envmatrix is a table", file.line_of(("tool", "envmatrix")))
        if "root" in table:  # it is where the file stands
            line = file.line_of(("tool", "envmatrix", "root"))
            raise UnknownKeyError(path, "unknown key 'root' in tool.envmatrix", line)
        try:
            return cls.model_validate({**table, "root": path.parent})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = str(first["loc"][0])
            line = file.line_of(("tool", "envmatrix", key))
            if first["type"] == "extra_forbidden":
                what = f"unknown key {key!r} in tool.envmatrix"
                raise UnknownKeyError(path, what, line, nearest(key, set(cls.model_fields) - {"root"})) from None
            raise DeclarationError(path, f"tool.envmatrix.{key}: {first['msg']}", line) from None
