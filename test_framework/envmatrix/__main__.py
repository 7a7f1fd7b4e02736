"""The command line. Exit codes: 0 compatible, 1 incompatible, 2 usage, 3 unknown."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

if (_on_interrupt := signal.getsignal(signal.SIGINT)) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the imports take a while: Ctrl-C ends them without a traceback

import typer

from envmatrix.commands.audit import audit
from envmatrix.commands.compare import compare
from envmatrix.commands.config import config
from envmatrix.commands.doctor import doctor
from envmatrix.commands.drift import drift
from envmatrix.commands.explain import explain
from envmatrix.commands.fixtures import fixtures
from envmatrix.commands.gate import baseline_app, gate, promote, waivers_app
from envmatrix.commands.health import health
from envmatrix.commands.impact import impact
from envmatrix.commands.init import init
from envmatrix.commands.matrix import matrix, run
from envmatrix.commands.merge import merge
from envmatrix.commands.monitor import monitor
from envmatrix.commands.parquet import history_app
from envmatrix.commands.plan import plan
from envmatrix.commands.report import report
from envmatrix.commands.show import show
from envmatrix.commands.site import site
from envmatrix.commands.up import down, env, logs, restart, status, up
from envmatrix.commands.vacuity import vacuity
from envmatrix.commands.validate import validate
from envmatrix.exceptions import EnvmatrixError, UsageError

if _on_interrupt is signal.default_int_handler:
    signal.signal(signal.SIGINT, _on_interrupt)

KILLED = 130
"""Exit code after a second Ctrl-C, as a shell gives it."""

_DEEPEST = 6_000
"""Python's frames: a suite may have fixtures, or directories, that lead to each other a thousand times."""

_BROKEN_PIPE = 141
"""Exit code when the reader of our output went away, as a shell gives it."""

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO}

app = typer.Typer(
    name="envmatrix",
    help="One test suite, every environment, one compatibility matrix.",
    epilog="Exit codes: 0 compatible, 1 incompatible, 2 usage or configuration, 3 unknown.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def envmatrix(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Run one test suite in every environment, and show where it passes."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"envmatrix {installed('envmatrix')}")
        raise typer.Exit


for command in (
    matrix,
    run,
    show,
    report,
    site,
    merge,
    explain,
    config,
    init,
    doctor,
    validate,
    vacuity,
    health,
    monitor,
    compare,
    drift,
    gate,
    promote,
    plan,
    audit,
    impact,
    fixtures,
    up,
    status,
    logs,
    restart,
    env,
    down,
):
    app.command()(command)
app.add_typer(history_app)
app.add_typer(baseline_app)
app.add_typer(waivers_app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Words after `--` go to pytest."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    cut = words.index("--") if "--" in words else len(words)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed; the next file that is opened would get its number, and our output
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)  # for a pytest that writes to our streams
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show must not end us
    sys.setrecursionlimit(_DEEPEST)
    atexit.register(gc.freeze)  # to look for garbage in an index costs a tenth of its making, and all of it goes anyway
    sys.exit(_call(words[:cut], tuple(words[cut + 1 :])))


def _call(words: list[str], pytest_args: tuple[str, ...]) -> int:
    """Run one command; return the exit code. A user's mistake is one line on standard error."""
    try:
        _check_directory()
        code: int = app(words, obj=pytest_args, prog_name="envmatrix", standalone_mode=False) or 0
    except EnvmatrixError as error:
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    except typer.TyperException as error:
        if message := error.format_message():  # none where the help was printed instead
            typer.echo(f"error: {message}", err=True)
        return error.exit_code
    except RecursionError:
        typer.echo("error: fixtures, directories or expressions are nested too deeply to be read", err=True)
        return EnvmatrixError.exit_code
    except typer.Abort:
        code = KILLED
    except BrokenPipeError:
        _drop_output()
        return _BROKEN_PIPE
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        _drop_output()
        typer.echo(f"error: nothing more can be written: {os.strerror(error.errno)}", err=True)
        return EnvmatrixError.exit_code
    if code == KILLED:  # what typer makes of KeyboardInterrupt
        typer.echo("error: killed by Ctrl-C", err=True)
    return code


def _check_directory() -> None:
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UsageError("the current directory was removed", "Change to another one") from None


def _drop_output() -> None:
    """Redirect stdout to the null device, so that the final flush cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
