"""What the `[compose]` table may say: which containers an environment's services run in."""

from typing import Literal

from envmatrix.environments.tables import Table


class Compose(Table):
    """The Compose project behind each `source = "compose"`, and the engine, which runs each `source = "container"`, too."""

    files: tuple[str, ...] = ()
    """Compose files, relative to the project's root; by default those that the compose command finds there."""
    project: str = ""
    """The Compose project's name; by default the one that the compose command chooses."""
    engine: Literal["docker", "podman"] | None = None
    """By default the first of the two that answers."""
