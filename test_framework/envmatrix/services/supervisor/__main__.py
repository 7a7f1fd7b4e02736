"""The supervisor's program, run by the client alone, as a file: its package imports more than the fork server needs."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

from envmatrix.services.processes.fork_server import ForkServer, import_path
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory


def main() -> None:
    """Serve one run, to its end."""
    parser = argparse.ArgumentParser(prog="envmatrix-supervisor")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("environment")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--env-file", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--root", type=Path, help="the project's root, from which the preloaded modules are imported")
    parser.add_argument("--preload", action="append", help="a module for the fork server; the client knows it already")
    arguments = parser.parse_args()
    run = SupervisorDirectory(arguments.run_dir)
    fork_server = None
    if arguments.preload:
        os.chdir(arguments.root)
        os.environ["PYTHONPATH"] = import_path(arguments.root)
        fork_server = ForkServer(arguments.preload, run)

    # Slow: the fork server works in the meantime.
    from envmatrix.services.supervisor.deployment import Deployment
    from envmatrix.services.supervisor.server import serve

    directory: Path = arguments.directory
    deploy = partial(Deployment, arguments.environment, directory, arguments.env_file, arguments.overrides)
    serve(run, fork_server, directory, deploy)


if __name__ == "__main__":
    main()
