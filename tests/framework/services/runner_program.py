"""Stands for a test runner: owns a run, starts services, says what runs, and waits to be killed."""

# ruff: noqa: T201

import json
import sys
import time
from pathlib import Path

from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory
from envmatrix.services.supervisor import Owner, SupervisorClient


def main() -> None:
    """Start what the arguments name: RUN_DIR DIRECTORY SERVICE [SERVICE ...]."""
    owner = Owner(Path(sys.argv[1]))
    started = SupervisorClient(owner.run_dir, "local", Path(sys.argv[2])).start(sys.argv[3:])
    supervisor = ProcessIdentity.read(SupervisorDirectory(owner.run_dir).supervisor)
    assert supervisor
    states = started.states.values()
    try:  # whoever reads the line may interrupt before print has returned
        print(
            json.dumps(
                {
                    "supervisor": supervisor.pid,
                    "pids": [state.pid for state in states],
                    "ports": [state.endpoint.port for state in states if state.endpoint],
                }
            ),
            flush=True,
        )
        time.sleep(300)
    except KeyboardInterrupt:
        print("closing", flush=True)
        owner.close()


main()
