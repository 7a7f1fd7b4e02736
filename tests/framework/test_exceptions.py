"""Every error says in one line what is wrong, where, and what to do next."""

import inspect
import pickle
from pathlib import Path

import pytest

from envmatrix import exceptions
from envmatrix.exceptions import (
    AccessRefusedError,
    ArchiveError,
    BaselineError,
    CannotFixError,
    ContractError,
    DamagedLineError,
    DeclarationError,
    DependencyError,
    EnvmatrixError,
    FileError,
    HistoryError,
    IdentityError,
    LeftOverError,
    MissingExtraError,
    MissingFixtureError,
    NoAccountError,
    NotReadyError,
    QueryError,
    ReferenceCycleError,
    RunFileError,
    RunNameError,
    SchemaError,
    ServiceError,
    StartError,
    SupervisorError,
    UnknownCapabilityError,
    UnknownEnvironmentError,
    UnknownKeyError,
    UnknownKindError,
    UnknownReferenceError,
    UnreachableError,
    UnsetVariableError,
    UsageError,
    UserError,
    WordedError,
    nearest,
)

TOML = Path("environments/local.toml")

EVERY = [
    (UsageError("no run", "Make one"), 2, "no run. Make one"),
    (CannotFixError("it uses URL: move both by hand"), 1, "it uses URL: move both by hand"),
    (
        MissingExtraError("psycopg", "postgres"),
        2,
        "'psycopg' is not installed. Install it with: pip install 'envmatrix[postgres]'",
    ),
    (
        UnknownEnvironmentError("stagin", Path("environments"), ("local", "staging")),
        2,
        "no environment 'stagin' in environments. Did you mean 'staging'?",
    ),
    (WordedError("it is wrong", "Mend it"), 3, "it is wrong. Mend it"),
    (FileError(TOML, "is wrong", 7), 2, "environments/local.toml:7: is wrong"),
    (DeclarationError(TOML, "is wrong", 7, "Mend it"), 2, "environments/local.toml:7: is wrong. Mend it"),
    (UnknownKeyError(TOML, "unknown key 'kimd'", 2), 2, "environments/local.toml:2: unknown key 'kimd'"),
    (UnsetVariableError(TOML, "variable X is not set"), 2, "environments/local.toml: variable X is not set"),
    (UnknownReferenceError(TOML, "{a.b} names no service", 3), 2, "environments/local.toml:3: {a.b} names no service"),
    (ReferenceCycleError(TOML, "services wait", 3), 2, "environments/local.toml:3: services wait"),
    (
        UnknownKindError("database", "postgress", ("http", "postgres")),
        2,
        (
            "service 'database' is of kind 'postgress', for which no driver is installed. Did you mean 'postgres'? "
            "A package adds one by the entry point group 'envmatrix.kinds', a project in [tool.envmatrix.kinds]"
        ),
    ),
    (ServiceError("auth", "is down"), 3, "service 'auth' is down"),
    (
        StartError("auth", "ended", "Traceback"),
        3,
        "service 'auth' ended; the log ends: Traceback. The end of its log:\nTraceback",
    ),
    (NotReadyError("auth", "was not ready"), 3, "service 'auth' was not ready"),
    (UnreachableError("auth", "is down"), 3, "service 'auth' is down"),
    (IdentityError("auth", "is somebody else"), 3, "service 'auth' is somebody else"),
    (AccessRefusedError("auth", "refuses the login"), 3, "service 'auth' refuses the login"),
    (DependencyError("auth", "was not started"), 3, "service 'auth' was not started"),
    (SupervisorError("ended"), 3, "the supervisor ended. Run again: whatever it left behind is removed first"),
    (
        UnknownCapabilityError("'databse', which no environment declares", "Did you mean 'database'?", "t.py::a"),
        2,
        "t.py::a requires 'databse', which no environment declares. Did you mean 'database'?",
    ),
    (
        MissingFixtureError("real_services", ("t.py::a", "t.py::b"), ("e2e/conftest.py:3",)),
        1,
        (
            "fixture 'real_services' is requested by t.py::a and 1 more, but no conftest.py above provides it. "
            "Nearest providers: e2e/conftest.py:3. Move it to a conftest.py above the test"
        ),
    ),
    (
        UserError("login", "answered 500"),
        3,
        "users: login answered 500. Check [users] in the declaration, and the log of the service",
    ),
    (
        NoAccountError("no account is left", "for 'admin': 1 of 3 fit"),
        3,
        "users: no account is left for 'admin': 1 of 3 fit. Declare one more in [[users.accounts]]",
    ),
    (
        BaselineError(Path("b.toml"), "is missing"),
        3,
        "baseline b.toml: is missing. Make it from a run that you trust: envmatrix baseline update",
    ),
    (
        ContractError("real_services", "conftest.py:3", ("auth_url: missing",)),
        1,
        "conftest.py:3: fixture 'real_services' breaks its contract in 1 place:\n  auth_url: missing",
    ),
    (
        LeftOverError("t.py::a", ("2 rows in table users of database", "1 socket: to 10.0.0.1:80")),
        1,
        (
            "t.py::a left behind: 2 rows in table users of database; 1 socket: to 10.0.0.1:80. "
            "Delete or close it in the test; where it is meant to stay, @pytest.mark.leaves says so"
        ),
    ),
    (
        HistoryError(Path("h.sqlite"), "is missing"),
        3,
        "history h.sqlite is missing. Record a run: envmatrix matrix",
    ),
    (
        QueryError("no environment is called 'lokal'", "Did you mean 'local'?", 10),
        2,
        "query, character 11: no environment is called 'lokal'. Did you mean 'local'?",
    ),
    (RunFileError(Path("a.jsonl"), "is empty"), 2, "a.jsonl: is empty"),
    (RunFileError(Path("a.jsonl"), "is damaged", 3), 2, "a.jsonl:3: is damaged"),
    (RunNameError(Path("a.jsonl"), "'..' is no name", 1), 2, "a.jsonl:1: '..' is no name"),
    (DamagedLineError(Path("a.jsonl"), "is damaged: not JSON", 3), 2, "a.jsonl:3: is damaged: not JSON"),
    (SchemaError(Path("a.jsonl"), "is of schema 2"), 2, "a.jsonl: is of schema 2"),
    (
        ArchiveError(Path("a.zip"), "'../x\\n' leads out of the archive"),
        2,
        r"a.zip: '../x\n' leads out of the archive. Merge only artifacts of your own jobs",
    ),
]


@pytest.mark.parametrize(("error", "exit_code", "text"), EVERY, ids=[type(error).__name__ for error, _, _ in EVERY])
def test_an_error_says_what_is_wrong_and_what_to_do(error: EnvmatrixError, exit_code: int, text: str) -> None:
    """The text is the message and the hint; the exit code is the one of its kind."""
    assert str(error) == text
    assert error.exit_code == exit_code


def test_every_error_is_looked_at_here() -> None:
    """A new class needs its text above."""
    classes = {
        value
        for value in vars(exceptions).values()
        if inspect.isclass(value) and issubclass(value, EnvmatrixError) and value is not EnvmatrixError
    }
    assert classes == {type(error) for error, _, _ in EVERY}


@pytest.mark.parametrize("error", [error for error, _, _ in EVERY], ids=lambda error: type(error).__name__)
def test_an_error_crosses_processes(error: EnvmatrixError) -> None:
    """A worker's error reaches the controller with everything that it says."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


def test_an_error_can_be_raised_again_with_notes() -> None:
    """Errors are ordinary exceptions: a traceback and notes can be attached."""
    error = UsageError("no")
    with pytest.raises(UsageError) as caught:
        raise error
    caught.value.add_note("more")
    assert caught.value is error


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("stagin", ["local", "staging"], "Did you mean 'staging'?"),
        ("zzz", ["local", "staging"], "Known here: local, staging"),
        ("zzz", [], ""),
    ],
)
def test_the_nearest_known_word_is_named(word: str, known: list[str], hint: str) -> None:
    """Where nothing is near, all that is known is listed."""
    assert nearest(word, known) == hint
