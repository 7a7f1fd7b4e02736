"""What a developer runs: the matrix, one environment, all tests, the checks.

`nox -s matrix` is the product; `nox -s tests` tests everything. Arguments after `--` are passed on.
"""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["matrix", "tests", "lint"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
ENVIRONMENTS = sorted(path.stem for path in Path(PYPROJECT["tool"]["envmatrix"]["environments"]).glob("*.toml"))
PYTHONS = nox.project.python_versions(PYPROJECT)

EVERYTHING = ["-e", ".[reference,clickhouse]", *nox.project.dependency_groups(PYPROJECT, "test")]
QUIET = {
    # Some machines set it, and without bytecode every start of Python costs twice.
    "PYTHONDONTWRITEBYTECODE": None,
    # An active environment of the caller's is not the one we run in.
    "VIRTUAL_ENV": None,
}


@nox.session
def install(session: nox.Session) -> None:
    """Install the package with all that the reference system needs; the other sessions share it."""
    session.install(*EVERYTHING, env={"UV_COMPILE_BYTECODE": "1"})


def _run(session: nox.Session, program: str, *arguments: str) -> None:
    """Run a program of the shared installation; the session fails with the program's exit code in its log."""
    programs = session.cache_dir.parent / "install" / "bin"
    session.run(str(programs / program), *arguments, *session.posargs, env=QUIET, external=True)


@nox.session(venv_backend="none", requires=["install"])
@nox.parametrize("name", [nox.param(name, id=name) for name in ENVIRONMENTS])
def environment(session: nox.Session, name: str) -> None:
    """Run the suite against one declared environment."""
    _run(session, "envmatrix", "run", name)


def _alias(name: str) -> None:
    def alias(session: nox.Session) -> None:
        _run(session, "envmatrix", "run", name)

    alias.__doc__ = f"Run the suite against the environment {name!r}."
    nox.session(alias, name=name, venv_backend="none", requires=["install"])


for _name in ENVIRONMENTS:
    _alias(_name)


@nox.session(venv_backend="none", requires=["install"])
def matrix(session: nox.Session) -> None:
    """Run the suite against all declared environments at the same time, and print the matrix."""
    _run(session, "envmatrix", "matrix")


@nox.session(venv_backend="none", requires=["install"])
def tests(session: nox.Session) -> None:
    """Run all tests with the Python that runs nox."""
    _run(session, "pytest")


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Run all tests with one of the supported versions of Python."""
    session.install(*EVERYTHING, env={"UV_COMPILE_BYTECODE": "1"})
    session.run("pytest", *session.posargs, env=QUIET)


@nox.session(requires=["install"])
def lint(session: nox.Session) -> None:
    """Check style, types, the one-way imports and the workflow."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy", "--python-executable", str(session.cache_dir.parent / "install" / "bin" / "python"))
    session.run("lint-imports")


@nox.session(venv_backend="none", requires=["install"])
def bench(session: nox.Session) -> None:
    """Measure against named peers in the same run, print ratios, write .envmatrix/bench.json; asserts nothing."""
    _run(session, "python", "-m", "benchmarks")
