"""What the `[pytest]` table may say: what a suite is given that takes its URLs by option, by variable or at import."""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from envmatrix.environments.references import fill, references_in
from envmatrix.environments.tables import Table

_TOO_LATE = ("-c", "--config-file", "--confcutdir", "-o", "--override-ini", "-p", "--rootdir", "--matrix-")
"""Beginnings of arguments that pytest has acted on before the environment is up."""


def _in_time(args: tuple[str, ...]) -> tuple[str, ...]:
    for word in args:
        if word.startswith(_TOO_LATE):
            raise ValueError(
                f"pytest acts on {word.partition('=')[0]} before it gets these; give it on the command line"
            )
    return args


class PytestTable(Table):
    """The `[pytest]` table: how a suite is run here that knows nothing of environments.

    The services that `args` and `env` name are up before pytest reads the first conftest, and count as used by every test.
    """

    args: Annotated[tuple[str, ...], AfterValidator(_in_time)] = ()
    """Arguments before those of the command line: `["--redis-url={redis.url}"]`. They are on no command line, where
    everybody could read them (`ps`), so they may hold secrets."""
    env: dict[str, SecretStr] = Field(default_factory=dict)
    """Variables of pytest's process: `DATABASE_URL = "{database.url}"`."""
    markers: str = ""
    """An expression as of pytest's `-m`, `"not cluster"`: the tests that are run here. One of the command line narrows it."""
    directory: str | None = None
    """Where `envmatrix run` and `matrix` start pytest, relative to the project's root, which it is by default. The suite
    is then what pytest's own settings there say, and not the project's `suites`."""
    python: str | None = None
    """The interpreter with which they start it, relative to the project's root or on `PATH`; by default our own. It needs
    an envmatrix of the same version."""

    @property
    def references(self) -> frozenset[str]:
        """Return the names of the services that `args` and `env` mention."""
        texts = [*self.args, *(value.get_secret_value() for value in self.env.values())]
        return frozenset(name for text in texts for name, field in references_in(text) if field)

    @property
    def gives(self) -> bool:
        """Return whether it has arguments or variables for the suite."""
        return bool(self.args or self.env)

    def filled(self, lookup: Callable[[str, str], str]) -> tuple[list[str], dict[str, str]]:
        """Return the arguments and the variables, their blanks filled in by `lookup(name, field)`."""
        env = {name: fill(value.get_secret_value(), lookup) for name, value in self.env.items()}
        return [fill(word, lookup) for word in self.args], env

    def selecting(self, given: str) -> str:
        """Return the expression that selects the tests of both `markers` and another expression."""
        return f"({self.markers}) and ({given})" if self.markers and given else self.markers or given
