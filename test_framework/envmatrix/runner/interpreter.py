"""The interpreter and the directory in which an environment's suite is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from envmatrix.environments import Environment
from envmatrix.exceptions import DeclarationError

_PATIENCE = 30.0
"""Seconds that an interpreter gets to say which envmatrix it has."""
_ASK = "import importlib.metadata as m; print(m.version('envmatrix'))"


def interpreter_of(environment: Environment, root: Path) -> str:
    """Return the interpreter that runs an environment's suite, ours by default; `root` is the project's."""
    declared = environment.pytest.python
    if declared is None:
        return sys.executable
    return str(root / Path(declared).expanduser()) if os.sep in declared else shutil.which(declared) or declared


def directory_of(environment: Environment, root: Path) -> Path:
    """Return the directory in which an environment's suite is run, the project's root by default."""
    return root / (environment.pytest.directory or "")


def check_suite_place(environment: Environment, root: Path) -> None:
    """Refuse a directory that is not there, and an interpreter that cannot run our plugin as it is here.

    Raises:
        DeclarationError: there is one.
    """
    directory, python = directory_of(environment, root), interpreter_of(environment, root)
    if not directory.is_dir():
        raise DeclarationError(environment.file, f"pytest.directory: there is no directory {directory}")
    if python == sys.executable:
        return
    try:
        asked = subprocess.run(  # noqa: S603  the declared interpreter
            [python, "-c", _ASK], capture_output=True, text=True, timeout=_PATIENCE, check=False, cwd=root
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = getattr(error, "strerror", None) or f"it did not answer within {_PATIENCE:g} s"
        raise DeclarationError(environment.file, f"pytest.python: {python} cannot be run: {why}") from None
    ours, theirs = version("envmatrix"), asked.stdout.strip()
    if asked.returncode != 0 or theirs != ours:
        has = f"has envmatrix {theirs}, and this is {ours}" if asked.returncode == 0 else "has no envmatrix"
        hint = f"Install it beside the suite: {python} -m pip install envmatrix=={ours}"
        raise DeclarationError(environment.file, f"pytest.python: {python} {has}", hint=hint)
