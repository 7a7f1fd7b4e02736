"""The supervisor's command line, written by the client alone."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from envmatrix.services.processes.supervisor_directory import SupervisorDirectory
from envmatrix.services.supervisor.client import LISTENER
from envmatrix.services.supervisor.server import serve


def main() -> None:
    """Serve one run, to its end."""
    parser = argparse.ArgumentParser(prog="python -m envmatrix.services.supervisor")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("environment")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--env-file", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    serve(
        SupervisorDirectory(arguments.run_dir), LISTENER, arguments.environment, arguments.directory, arguments.env_file
    )


if __name__ == "__main__":
    main()
