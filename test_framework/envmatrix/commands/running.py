"""Environments for commands that use them while they run, without a suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from envmatrix.exceptions import UsageError

if TYPE_CHECKING:
    from envmatrix.environments import Environment
    from envmatrix.services.supervisor import SupervisorClient


@contextmanager
def running(
    name: str, directory: Path, env_file: Path | None, overrides: Sequence[str] | None = None
) -> Iterator[tuple[SupervisorClient, Environment]]:
    """Yield an environment and the client of its supervisor: the one that is kept, or else one that is ended here.

    Raises:
        UsageError: the environment that is up was started from something else.
    """
    from envmatrix.environments import load_environment, process_variables
    from envmatrix.services.supervisor import Owner, SupervisorClient
    from envmatrix.services.supervisor.kept import Origin, kept_as

    variables = process_variables(env_file)
    environment = load_environment(name, directory, variables=variables, overrides=overrides or ())
    with ExitStack() as stack:
        if kept := kept_as(environment):
            client = kept.client
            if stale := kept.why_stale(Origin.of(environment, variables)):
                raise UsageError(f"{name} is up and stale: {stale}", f"Replace it: envmatrix up {name}")
        else:
            owner = stack.enter_context(closing(Owner()))
            client = SupervisorClient(owner.run_dir, name, directory, env_file, environment)
        yield client, environment
