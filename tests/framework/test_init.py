"""The package's public names."""

import subprocess
import sys

import pytest

import envmatrix

PUBLIC = [
    "Cause",
    "Cell",
    "Contract",
    "Environment",
    "EnvmatrixError",
    "Evidence",
    "Matrix",
    "Outcome",
    "RealLLM",
    "RealServices",
    "Run",
    "Verdict",
    "judge",
    "load_environment",
    "read_run",
]


def test_the_public_names_are_these() -> None:
    """A name that comes or goes is a decision, made here."""
    assert envmatrix.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    """Each is imported when it is first used, and listed before."""
    assert getattr(envmatrix, name).__name__ == name
    assert name in dir(envmatrix)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The error is that of any other module."""
    with pytest.raises(AttributeError, match="module 'envmatrix' has no attribute 'Matrx'"):
        _ = envmatrix.Matrx


def loaded_after(statement: str) -> set[str]:
    """Return the modules that a fresh Python has imported after a statement."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    return set(ended.stdout.split())


def test_importing_the_package_imports_nothing_else() -> None:
    """Pytest imports it in every project that has it installed."""
    found = loaded_after("import envmatrix")
    assert {name for name in found if name.startswith("envmatrix")} == {"envmatrix"}
    assert not found & {"pydantic", "rich", "typer", "httpx", "asyncio", "pytest"}


def test_recording_a_run_imports_no_client() -> None:
    """Each command that ends a run pays for what the history imports."""
    assert not loaded_after("import envmatrix.history") & {"pydantic", "httpx", "envmatrix.services"}


def test_the_command_line_imports_what_a_command_needs() -> None:
    """`--version` needs neither pydantic nor rich."""
    found = loaded_after("import envmatrix.__main__")
    ours = {name for name in found if name.startswith("envmatrix.")}
    assert {name for name in ours if not name.startswith("envmatrix.commands")} == {
        "envmatrix.__main__",
        "envmatrix.exceptions",
        "envmatrix.git",
        "envmatrix.runs",
        "envmatrix.runs.interval",
        "envmatrix.safety",
        "envmatrix.safety.input_files",
    }
    assert not found & {"pydantic", "rich", "httpx", "asyncio", "pytest"}
