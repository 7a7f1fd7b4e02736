"""Plan the jobs of a CI run: one per environment and shard. Reads declarations, and starts nothing."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envmatrix.environments import declaration_of, declared_names
from envmatrix.environments.declaration import read_declaration
from envmatrix.exceptions import UnknownEnvironmentError, UsageError

GITHUB_JOBS = 256
"""https://docs.github.com/en/actions/reference/limits: jobs of one matrix."""
GITLAB_JOBS = 200
"""https://docs.gitlab.com/ci/yaml/#parallelmatrix: jobs of one `parallel:matrix`."""

_UNTRUSTED = "untrusted: secrets are not given to forks"
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)\}")
"""A variable without a default: unset, the declaration cannot be read."""


@dataclass(frozen=True, slots=True)
class PlannedEnvironment:
    """One environment of a CI run."""

    environment: str
    variables: tuple[str, ...]
    """Variables of hosts and credentials that must be set to run it."""
    has_twin: bool
    """Whether a local twin stands in while the variables are unset."""

    @property
    def needs_trust(self) -> bool:
        """Return whether it cannot be run without its variables."""
        return bool(self.variables) and not self.has_twin


@dataclass(frozen=True, slots=True)
class CIPlan:
    """The environments to run in CI, and in how many jobs each."""

    environments: tuple[PlannedEnvironment, ...]
    shards: int
    is_trusted: bool

    @property
    def skipped(self) -> Mapping[str, str]:
        """Map each environment that is not run to the reason."""
        return {each.environment: _UNTRUSTED for each in self.environments if each.needs_trust and not self.is_trusted}

    @property
    def jobs(self) -> tuple[Mapping[str, Any], ...]:
        """Return the jobs, environment by environment."""
        run = [each for each in self.environments if each.environment not in self.skipped]
        return tuple(
            {"environment": each.environment, "shard": f"{number}/{self.shards}", "index": number}
            for each in run
            for number in range(1, self.shards + 1)
        )

    @property
    def document(self) -> Mapping[str, Any]:
        """Return the manifest for the merge: the planned environments, so that a lost artifact still has a column."""
        skipped = self.skipped
        entries = {
            each.environment: {"label": each.environment, "note": skipped.get(each.environment, "")}
            for each in self.environments
        }
        return {"schema": 1, "environments": entries}

    def manifest(self) -> str:
        """Return the document as a file's text."""
        return json.dumps(self.document, indent=2) + "\n"


def make_ci_plan(names: Iterable[str], directory: Path, *, shards: int, is_trusted: bool) -> CIPlan:
    """Plan the named environments, or all that are declared.

    Raises:
        UnknownEnvironmentError: an environment is not declared.
        DeclarationError: a declaration is not TOML.
        UsageError: nothing is declared.
    """
    declared = declared_names(directory)
    chosen = tuple(dict.fromkeys(names)) or declared
    for name in chosen:
        if declaration_of(name, directory)[0].stem not in declared:
            raise UnknownEnvironmentError(name, directory, declared)
    if not chosen:
        raise UsageError(f"no environment is declared in {directory}", "Declare one: NAME.toml in that directory")
    return CIPlan(tuple(_planned(name, directory) for name in chosen), shards, is_trusted)


def _planned(name: str, directory: Path) -> PlannedEnvironment:
    data = read_declaration(declaration_of(name, directory)[0]).data
    variables = {name for text in _texts(data) for name in _VARIABLE.findall(text)}
    return PlannedEnvironment(name, tuple(sorted(variables)), "twin" in data)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from _texts(each)


def for_github(plan: CIPlan) -> str:
    """Return the value of `strategy.matrix`, on one line.

    Raises:
        UsageError: GitHub would refuse so many jobs.
    """
    _check(plan, GITHUB_JOBS, "GitHub")
    return json.dumps({"include": list(plan.jobs)}, separators=(",", ":")) + "\n"


def for_gitlab(plan: CIPlan, command: str) -> str:
    """Return a child pipeline as JSON, which is YAML too: the jobs, then one that merges their runs.

    Raises:
        UsageError: GitLab would refuse so many jobs.
    """
    _check(plan, GITLAB_JOBS, "GitLab")
    names = list(dict.fromkeys(job["environment"] for job in plan.jobs))
    shards = [f"{number}/{plan.shards}" for number in range(1, plan.shards + 1)]
    environment = {
        "stage": "environments",
        "parallel": {"matrix": [{"ENVIRONMENT": names, "SHARD": shards}]},
        "allow_failure": True,  # the last job decides: a failure that is known or waived is no red pipeline
        "resource_group": "$ENVIRONMENT $SHARD",
        "script": [f'{command} run "$ENVIRONMENT" --shard "$SHARD"'],
        # The logs stay behind: a product may print what it should not. So does `latest`, a link to what is there.
        "artifacts": {"when": "always", "paths": [f".envmatrix/runs/2*/*.{ending}" for ending in ("json", "jsonl")]},
    }
    matrix = {
        "stage": "matrix",
        "when": "always",
        "script": [
            "mkdir -p plan .envmatrix/runs",
            f"printf '%s' {shlex.quote(json.dumps(plan.document))} > plan/matrix.json",
            f"{command} merge plan .envmatrix/runs --output merged || true",
            f"{command} gate merged",
        ],
        "artifacts": {"when": "always", "paths": ["merged/"]},
    }
    # Where everything is skipped there is no job: an empty matrix is refused.
    jobs = {"environment": environment, "matrix": matrix} if names else {"matrix": matrix}
    return json.dumps({"stages": ["environments", "matrix"], **jobs}, indent=2) + "\n"


def as_text(plan: CIPlan) -> str:
    """Return the plan for people."""
    skipped = plan.skipped
    width = max(len(each.environment) for each in plan.environments)
    lines = []
    for each in plan.environments:
        if each.environment in skipped:
            what = f"skipped, {skipped[each.environment]}"
        else:
            what = f"{plan.shards} job{'s'[: plan.shards != 1]}"
            what += f", needs {', '.join(each.variables)}" if each.variables else ""
            what += " or its twin stands in" if each.variables and each.has_twin else ""
        lines.append(f"{each.environment:{width}}  {what}\n")
    return "".join(lines)


def _check(plan: CIPlan, most: int, where: str) -> None:
    if len(plan.jobs) > most:
        what = f"{len(plan.jobs)} jobs are planned, but {where} runs at most {most} jobs of one matrix"
        raise UsageError(what, "Plan fewer shards, or fewer environments")
