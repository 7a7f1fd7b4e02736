"""The choice between an environment that `envmatrix up` keeps running and one of the run's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from envmatrix.environments import process_variables
from envmatrix.plugin.selection import Selection
from envmatrix.services.supervisor.kept import Origin, kept_as


def kept_run_dir(config: pytest.Config, selection: Selection) -> Path | None:
    """Return the directory of the selected environment where it is kept and as it would be started now; say which it is.

    A run that is recorded starts its own: what it says of a commit must be true of that commit.
    """
    if selection.run_file is not None:
        return None
    environment = selection.environment
    kept = kept_as(environment)
    if kept is None:
        return None
    stale = kept.why_stale(Origin.of(environment, process_variables(selection.env_file)))
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    name = environment.name
    line = (
        f"envmatrix: {name} is started for this run, since the one that is up is stale: {stale} (envmatrix up {name})"
        if stale
        else f"envmatrix: connected to {name}, which is up (supervisor {kept.supervisor})"
    )
    if reporter is not None:
        reporter.ensure_newline()
        reporter.write_line(line)
    else:  # what `[pytest]` names is needed before pytest has one
        sys.stderr.write(f"{line}\n")
    return None if stale else kept.run.path
