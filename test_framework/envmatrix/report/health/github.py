"""What is wrong with environments as annotations of a job: workflow commands of GitHub Actions, a cause each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envmatrix.report.github import command, within_limit
from envmatrix.services.health import EnvironmentHealth, HealthStatus


def render(environments: Sequence[EnvironmentHealth]) -> str:
    """Return one annotation for each service that is ill by itself, naming those that fail with it."""
    commands = [line for each in environments for line in _commands(each)]
    return within_limit(commands, "envmatrix health shows them all")


def _commands(environment: EnvironmentHealth) -> Iterator[str]:
    if environment.failure:
        yield command(f"{environment.label}: {environment.status}", environment.failure)
    for check in environment.checks:
        if check.status not in {HealthStatus.OK, HealthStatus.ABSENT}:
            level = "error" if check.status is HealthStatus.DOWN else "warning"
            title = f"{environment.label}: {check.service} {check.name} {check.status}"
            yield command(title, check.detail, level=level)
    for each in environment.roots:
        if each.is_ill:
            others = ", ".join(other.service for other in environment.caused_by(each.service))
            message = f"{each.reason}. With it: {others}" if others else each.reason
            level = "warning" if each.status is HealthStatus.DEGRADED or not each.required else "error"
            yield command(f"{environment.label}: {each.service} {each.status}", message, level=level)
