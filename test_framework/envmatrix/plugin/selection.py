"""The selected environment, and the run as the options and the project's table describe it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from envmatrix.environments import (
    Environment,
    Project,
    PytestTable,
    declaration_of,
    load_environment,
    process_variables,
)
from envmatrix.plugin.remote_workers import remote_input

OUR_CONTRACTS = ("real_services", "real_llm")
"""Fixtures whose contract we bring; a project's table may add to them."""


@dataclass(frozen=True)
class Selection:
    """The run as the options and the project's table describe it."""

    environment: Environment
    directory: Path
    env_file: Path | None
    run_file: Path | None
    project: Project
    destructive: bool
    variables: Mapping[str, str] = field(repr=False)
    """The variables that the declaration uses, in the clear."""

    @property
    def suites(self) -> tuple[str, ...]:
        """Return the project's suites, relative to its root; none where the environment has its suite elsewhere."""
        return () if self.environment.pytest.directory else self.project.suites

    @property
    def contract_fixtures(self) -> frozenset[str]:
        """Return the names of the fixtures that have a contract."""
        return frozenset(OUR_CONTRACTS) | self.project.contracts.keys()


def select(config: pytest.Config, name: str) -> Selection:
    """Load the selected environment.

    Raises:
        EnvmatrixError: it is not declared, or declared wrongly.
    """
    project = Project.find(path_option(config, "--matrix-project") or config.rootpath)
    directory = path_option(config, "--matrix-environments") or project.environments_dir
    env_file = path_option(config, "--matrix-env-file")
    if (remote := remote_input(config)) is not None:
        directory, env_file = project.root / remote.directory, None
        remote.demand_same(declaration_of(name, directory)[0])
    variables = _UsedVariables(remote.variables if remote else process_variables(env_file))
    environment = load_environment(
        name,
        directory,
        variables=variables,
        overrides=config.getoption("--matrix-set"),
        alias=config.getoption("--matrix-as") or "",
    )
    if config.getoption("--matrix-plain"):
        environment = environment.model_copy(update={"pytest": PytestTable()})
    return Selection(
        environment=environment,
        directory=directory,
        env_file=env_file,
        run_file=path_option(config, "--matrix-run-file"),
        project=project,
        destructive=bool(config.getoption("--matrix-destructive")),
        variables=variables.used,
    )


class _UsedVariables(Mapping[str, str]):
    """Variables that remember which of them were read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.used: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        self.used[name] = self._values[name]
        return self.used[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def path_option(config: pytest.Config, option: str) -> Path | None:
    """Return the path that an option names, relative to where pytest was started."""
    value = config.getoption(option)
    return config.invocation_params.dir / value if value else None
