"""Every error, in the order the flow can meet it.

A declaration is read, tests are collected, services start or are connected to, fixtures are checked against their
contracts, run files are written, read and merged, history and baseline are read, findings of the audit are fixed.
Each error carries the objects it is about, says in one line what is wrong and where, and knows its hint: what to do
next. `exit_code` is the exit code of the command line (1 incompatible, 2 usage or configuration, 3 unknown).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol


@dataclass(eq=False)
class EnvmatrixError(Exception):
    """The base of every error that a person can act on."""

    exit_code: ClassVar[int] = 3

    @property
    def message(self) -> str:
        """Return what is wrong, and where, in one line."""
        raise NotImplementedError

    @property
    def hint(self) -> str:
        """Return what to do next; empty where the message says it all."""
        return ""

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the known word closest to a mistyped one, or else all known words."""
    candidates = sorted(known)
    close = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known here: {', '.join(candidates)}" if candidates else ""


@dataclass(eq=False)
class WordedError(EnvmatrixError):
    """An error that is its words, and carries nothing else."""

    what: str
    hint: str = ""

    @property
    def message(self) -> str:
        return self.what


class UsageError(WordedError):
    """An option or argument is wrong, or does not fit the others."""

    exit_code = 2


@dataclass(eq=False)
class MissingExtraError(EnvmatrixError):
    """An optional backend is needed and not installed."""

    module: str
    extra: str

    exit_code: ClassVar[int] = 2

    @property
    def message(self) -> str:
        return f"{self.module!r} is not installed"

    @property
    def hint(self) -> str:
        return f"Install it with: pip install 'envmatrix[{self.extra}]'"


@dataclass(eq=False)
class UnknownEnvironmentError(EnvmatrixError):
    """No environment of that name is declared."""

    name: str
    directory: Path
    declared: tuple[str, ...]

    exit_code: ClassVar[int] = 2

    @property
    def message(self) -> str:
        return f"no environment {self.name!r} in {self.directory}"

    @property
    def hint(self) -> str:
        return nearest(self.name, self.declared) or "Declare one: NAME.toml in that directory"


@dataclass(eq=False)
class FileError(EnvmatrixError):
    """A file is wrong. `line` is 1-based; 0 stands for the whole file, or is not known."""

    file: Path
    what: str
    line: int = 0

    exit_code: ClassVar[int] = 2

    @property
    def message(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


@dataclass(eq=False)
class DeclarationError(FileError):
    """A file that declares an environment, or the project's own table, is wrong."""

    hint: str = ""


class UnknownKeyError(DeclarationError):
    """A key that no declaration has."""


class UnsetVariableError(DeclarationError):
    """A `${VARIABLE}` that neither the process's environment nor the env file sets."""


class UnknownReferenceError(DeclarationError):
    """A `{service.field}` that names no service, or no field of one."""


class ReferenceCycleError(DeclarationError):
    """Services reference each other in a cycle, so that none could start first."""


@dataclass(eq=False)
class UnknownKindError(EnvmatrixError):
    """No installed driver speaks to services of that kind."""

    service: str
    kind: str
    known: tuple[str, ...]

    exit_code: ClassVar[int] = 2

    @property
    def message(self) -> str:
        return f"service {self.service!r} is of kind {self.kind!r}, for which no driver is installed"

    @property
    def hint(self) -> str:
        ways = "A package adds one by the entry point group 'envmatrix.kinds', a project in [tool.envmatrix.kinds]"
        return f"{nearest(self.kind, self.known)} {ways}"


@dataclass(eq=False)
class MissingFixtureError(EnvmatrixError):
    """Collected tests request a fixture that no conftest above them provides; it may be in another directory."""

    fixture: str
    tests: tuple[str, ...]
    providers: tuple[str, ...]
    """Where fixtures of that name are defined, nearest first, as `file:line`."""
    similar: str = ""

    exit_code: ClassVar[int] = 1

    @property
    def message(self) -> str:
        others = f" and {len(self.tests) - 1} more" if len(self.tests) > 1 else ""
        return f"fixture {self.fixture!r} is requested by {self.tests[0]}{others}, but no conftest.py above provides it"

    @property
    def hint(self) -> str:
        if not self.providers:
            return self.similar or "Define it in a conftest.py above the test"
        return f"Nearest providers: {', '.join(self.providers)}. Move it to a conftest.py above the test"


@dataclass(eq=False)
class UnknownCapabilityError(WordedError):
    """A test requires something that no environment declares, or its marker cannot be read."""

    test: str = ""

    exit_code = 2

    @property
    def message(self) -> str:
        return f"{self.test} requires {self.what}"


@dataclass(eq=False)
class ServiceError(EnvmatrixError):
    """A service could not be brought up, or does not answer as it should. `log_tail` is masked."""

    service: str
    reason: str
    log_tail: str = ""

    @property
    def message(self) -> str:
        return f"service {self.service!r} {self.end}"

    @property
    def end(self) -> str:
        """Return the reason, with the last line of the service's log."""
        last = self.log_tail.rstrip().rpartition("\n")[2][:200]  # characters; all of it is in the hint
        return f"{self.reason}; the log ends: {last}" if last else self.reason

    @property
    def hint(self) -> str:
        return f"The end of its log:\n{self.log_tail}" if self.log_tail else ""


class StartError(ServiceError):
    """Our own process for a service ended, or never began."""


class NotReadyError(ServiceError):
    """A service was not ready by its deadline. It may still be starting: we stopped waiting."""


class UnreachableError(ServiceError):
    """A remote service could not be reached. It may be up, but we could not even check."""


class IdentityError(ServiceError):
    """A healthy service answered, but not the declared one: it is of another name or environment."""


class AccessRefusedError(ServiceError):
    """A service answers, and refuses the login, the database or the authority that is declared."""


class DependencyError(ServiceError):
    """A service was not started because one that it references failed first."""


@dataclass(eq=False)
class SupervisorError(EnvmatrixError):
    """The process that owns the services did not start, did not answer, or ended. It may have been killed."""

    what: str
    log_tail: str = ""

    @property
    def message(self) -> str:
        return f"the supervisor {self.what}"

    @property
    def hint(self) -> str:
        end_of_log = f"The end of its log:\n{self.log_tail}" if self.log_tail else ""
        return end_of_log or "Run again: whatever it left behind is removed first"


@dataclass(eq=False)
class UserError(EnvmatrixError):
    """The environment refused to make a user, or to log one in. `reason` is masked."""

    step: str
    reason: str
    status: int = 0
    """The answer's HTTP status; 0 where it was a success without what was requested."""

    hint = "Check [users] in the declaration, and the log of the service"

    @property
    def message(self) -> str:
        return f"users: {self.step} {self.reason}"


class NoAccountError(UserError):
    """There is no ready-made account of the role or the tenant that a test asks for, or all of them are in use."""

    hint = "Declare one more in [[users.accounts]]"


class Breach(Protocol):
    """One finding of a contract's check; `str` is all of it in one line."""

    @property
    def rule(self) -> str:
        """The code of the rule: `C111`."""

    @property
    def message(self) -> str:
        """What is wrong, in one line."""

    @property
    def hint(self) -> str:
        """What to do next; may be empty."""


@dataclass(eq=False)
class ContractError(EnvmatrixError):
    """A fixture breaks its contract; `place` is where the fixture is defined."""

    fixture: str
    place: str
    findings: tuple[Breach, ...]

    exit_code: ClassVar[int] = 1

    @property
    def message(self) -> str:
        count = len(self.findings)
        lines = "".join(f"\n  {finding}" for finding in self.findings)
        return f"{self.place}: fixture {self.fixture!r} breaks its contract in {count} place{'s'[: count != 1]}:{lines}"


@dataclass(eq=False)
class LeftOverError(EnvmatrixError):
    """A test passed and left behind what the next one would meet. `left` are texts, masked, one for each thing."""

    test: str
    left: tuple[str, ...]

    exit_code: ClassVar[int] = 1
    hint = "Delete or close it in the test; where it is meant to stay, @pytest.mark.leaves says so"

    @property
    def message(self) -> str:
        return f"{self.test} left behind: {'; '.join(self.left)}"


class RunFileError(FileError):
    """A run file is damaged, or something else."""


class DamagedLineError(RunFileError):
    """A line of a run file cannot be read; the others can."""


class SchemaError(RunFileError):
    """A run file has a schema that this version does not read."""


class RunNameError(RunFileError):
    """A run file names its environment by what is no name: it would lead to another path."""


class ArchiveError(FileError):
    """An archive, or a directory of run files, is damaged, hostile or too large."""

    hint = "Merge only artifacts of your own jobs"


@dataclass(eq=False)
class HistoryError(EnvmatrixError):
    """A history is missing, or cannot be read, so earlier runs are unknown."""

    file: Path | str
    """Its file, or the directory or URL of its Parquet."""
    what: str

    @property
    def hint(self) -> str:
        if isinstance(self.file, Path):
            return "Record a run: envmatrix matrix"
        return "Is its name right, and did `history export` write there?"

    @property
    def message(self) -> str:
        return f"history {self.file} {self.what}"


@dataclass(eq=False)
class QueryError(WordedError):
    """A query over a matrix cannot be understood. `at` is the index of the character where that shows."""

    at: int = 0

    exit_code = 2

    @property
    def message(self) -> str:
        return f"query, character {self.at + 1}: {self.what}"


class BaselineError(FileError):
    """A baseline is missing, cannot be read or written, or was edited by hand, so nothing can be compared with it."""

    exit_code = 3
    hint = "Make it from a run that you trust: envmatrix baseline update"

    @property
    def message(self) -> str:
        return f"baseline {super().message}"


class CannotFixError(WordedError):
    """A finding of the audit cannot be fixed by a safe change."""

    exit_code = 1
