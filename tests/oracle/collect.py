"""Have pytest collect a tree in its own environment, and read what the plugin saw."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.oracle.compare import Account

PLUGIN = Path(__file__).parent / "plugin"
DEADLINE = 900
"""Seconds."""


def account_of(
    root: Path, python: Path, arguments: Sequence[str] = (), deadline: float = DEADLINE, tests: str = "."
) -> Account:
    """Collect a tree and return pytest's account of it.

    Args:
        root: The tree, and pytest's rootdir.
        python: The interpreter of the environment that can import it.
        arguments: More of pytest's.
        deadline: Seconds after which pytest is killed.
        tests: The directory to collect, below the root.

    Raises:
        ValueError: pytest did not finish; its last words are in the message.
        subprocess.TimeoutExpired: it took longer than the deadline.
    """
    with tempfile.TemporaryDirectory(prefix="oracle-") as directory:
        record = Path(directory, "record.jsonl")
        command = [str(python), "-P", "-m", "pytest", "--collect-only", "-qq", "-p", "fixture_oracle", "-W", "ignore"]
        command += ["-o", f"cache_dir={directory}/cache", f"--rootdir={root}", "--continue-on-collection-errors"]
        environment = {
            "HOME": directory,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PLUGIN),
            "FIXTURE_ORACLE": str(record),
            "MPLBACKEND": "agg",
        }
        done = subprocess.run(
            [*command, *arguments, str(root / tests)],
            cwd=directory if tests == "." else root,  # an installed package is not written to
            env=environment,
            capture_output=True,
            text=True,
            timeout=deadline,
            check=False,
        )
        if not record.exists():
            msg = f"pytest did not start in {root}: {(done.stderr or done.stdout)[-2000:]}"
            raise ValueError(msg)
        return Account.read(record)
