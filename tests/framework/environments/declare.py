"""Write declarations for tests."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from envmatrix.environments import Environment, load_environment
from envmatrix.exceptions import EnvmatrixError


def declare(directory: Path, text: str | bytes, name: str = "local") -> Path:
    """Write a declaration; text is dedented, so that its first line is line 1."""
    path = directory / f"{name}.toml"
    path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).lstrip("\n").encode())
    return path


def load(directory: Path, name: str = "local", **variables: str) -> Environment:
    """Load a declaration with these variables alone."""
    return load_environment(name, directory, variables=variables)


def refusal(directory: Path, text: str | bytes, **variables: str) -> str:
    """Declare something wrong; return the one line that says so, with the file's directory left out."""
    path = declare(directory, text)
    with pytest.raises(EnvmatrixError) as caught:
        load(directory, **variables)
    assert caught.value.exit_code == 2
    line = str(caught.value)
    assert "\n" not in line
    return line.replace(f"{path.parent}/", "")
