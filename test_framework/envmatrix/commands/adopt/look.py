"""Look at a project's files for the services that it needs. Nothing of it is imported or run."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import StringIO
from itertools import chain
from pathlib import Path

from dotenv import dotenv_values

from envmatrix.analysis.index.build import index_of
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.commands.adopt.compose import compose_guesses
from envmatrix.commands.adopt.guess import (
    EMBEDDED,
    OWN_URL,
    STORES,
    Found,
    Given,
    Guess,
    in_order,
    is_own_url,
    is_vague,
    kind_of,
    owner_of,
    store,
)
from envmatrix.environments import references_in
from envmatrix.exceptions import DeclarationError
from envmatrix.masking import is_secret_name
from envmatrix.safety.input_files import read_text
from envmatrix.safety.loopback import is_loopback
from envmatrix.safety.names import is_name

_EXAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist")
_STAND_IN = re.compile(r"(?<![a-z])(?:mock|fake|stub|dummy)")
"""Fixtures that are no server's."""
_URL_OPTION = re.compile(r"--[\w-]*(?:url|uri|dsn)[\w-]*", re.IGNORECASE)


def look(root: Path) -> Found:
    """Return what the project in a directory tells of its services.

    Raises:
        DeclarationError: pytest's configuration is broken, or a file cannot be read.
    """
    index = index_of(root)
    example = next(((name, _variables(root / name)) for name in _EXAMPLES if (root / name).is_file()), ("", {}))
    services: dict[str, Guess] = {}
    given: list[Given] = []
    notes: list[str] = []
    variables = _from_example(*example, services, _tests_of(index))  # lazily: after the product's own services
    for seen in chain(_procfile(root, *example), compose_guesses(root), variables, _from_tests(index)):
        if isinstance(seen, str):
            notes.append(seen)
        elif isinstance(seen, Given):
            given.append(seen)
        elif seen.name not in services and not (
            seen.is_vague and any(each.kind in STORES for each in services.values())
        ):
            services[seen.name] = seen
    if "backend" not in services and (own := _own(services)):  # `http_client` speaks to it
        services["backend"] = Guess("backend", services.pop(own[0]).keys)
    if "backend" not in services:
        notes += [
            f"{each.origin}: the address of the product itself, which is not declared" for each in given if each.is_own
        ]
        given = [each for each in given if not each.is_own]
    return Found(tuple(services.values()), _pytest(given), _suites(index), tuple(dict.fromkeys(notes)))


def _own(services: Mapping[str, Guess]) -> list[str]:
    """Return the names of the product's own HTTP services."""
    return [name for name, each in services.items() if each.kind == "http" and "required" not in each.keys]


def _pytest(given: list[Given]) -> dict[str, tuple[object, str]]:
    """Return the keys of the `[pytest]` table."""
    arguments = [each for each in given if each.argument]
    origins = "; ".join(each.origin for each in arguments)
    keys: dict[str, tuple[object, str]] = {}
    if arguments:
        keys["args"] = ([each.argument for each in arguments], origins)
    return keys | {f"env.{each.variable}": (each.value, each.origin) for each in given if each.variable}


def _variables(file: Path) -> dict[str, str]:
    values = dotenv_values(stream=StringIO(read_text(file)), interpolate=False)
    return {name: value or "" for name, value in values.items() if name.isascii() and name.isidentifier()}


def _procfile(root: Path, example: str, variables: dict[str, str]) -> Iterator[Guess | str]:
    """Yield the processes of a Procfile, with the variables of the example file; `release` is run to its end before them."""
    if not (root / "Procfile").is_file():
        return
    guesses = []
    for number, line in enumerate(read_text(root / "Procfile").splitlines(), 1):
        process, colon, command = line.partition(":")
        if not colon or process.startswith("#"):
            continue
        origin = f"Procfile:{number}"
        name, kind = {"web": ("backend", "http"), "release": ("release", "job")}.get(process, (process, "background"))
        words = _words(command, kind)
        if not words or not is_name(name):
            yield f"{origin} is not declared: {'its command needs a shell' if is_name(name) else 'no service has such a name'}"
            continue
        source = "started for the run, and gone after it" if kind != "job" else "run to its end"
        keys = {"kind": (kind, origin), "source": ("process", source), "command": (words, origin)}
        if kind == "http":
            keys["health"] = ("/", "a guess: any path that answers 200 without a login")
            if not any("{backend.port}" in word for word in words):
                yield f"{origin} names no $PORT: give the command a way to listen at {{backend.port}}, or it is not found"
        for variable, value in variables.items():
            keys[f"env.{variable}"] = (_setting(variable, value, is_product=kind == "http"), example)
        guesses.append(Guess(name, keys))
    yield from in_order(guesses)


def _words(command: str, kind: str) -> list[str]:
    """Return the words of a process's command; none where it needs a shell."""
    if kind == "http":
        command = re.sub(r"\$\{?PORT\b(?::-\d+)?\}?", "{backend.port}", command)
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    words[:1] = ["{python}"] if words[:1] in (["python"], ["python3"]) else words[:1]
    return [] if any(re.search(r"[$|;&<>`]", word) for word in words) else words


def _setting(name: str, value: str, *, is_product: bool = True) -> str:
    """Return what a variable of the example file becomes: an address, or itself with that value by default.

    Only the product and its tests are told its own address: what it needs is up before that.
    """
    scheme, _, rest = value.partition("://")
    if is_product and name.upper() == "PORT":
        return "{backend.port}"
    if is_product and _is_own(name, value):
        return OWN_URL
    if rest and (kind := kind_of(scheme)):
        service = STORES[kind]
        if "+" not in scheme:
            return f"{{{service}.url}}"
        where = "{%s.user}:{%s.password}@{%s.host}:{%s.port}/{%s.database}" % ((service,) * 5)
        return f"{scheme}://{where}"
    if is_secret_name(name) or "}" in value or "@" in value or list(references_in(value)):
        value = ""
    return f"${{{name}:-{value}}}"


def _url(name: str, value: str) -> str:
    """Return the URL of what runs already: what the variable says, by default as in the example file, unless a login is in it."""
    default = "" if set("@{}").intersection(value) else f":-{value}"
    return f"${{{name}{default}}}"


def _is_own(name: str, value: str) -> bool:
    """Return whether a variable of the example file is where the product itself is while somebody works on it."""
    return is_own_url(name) and _is_here(value)


def _is_here(value: str) -> bool:
    """Return whether it is an HTTP URL of this machine."""
    address = re.match(r"https?://([\w.-]+)", value)
    return address is not None and is_loopback(address[1])


def _from_example(
    example: str, variables: dict[str, str], services: Mapping[str, Guess], tests: str
) -> Iterator[Guess | Given | str]:
    """Yield the servers that the variables of the example file name, and what the suite takes of them."""
    for name, value in variables.items():
        scheme, _, rest = value.partition("://")
        if rest and (kind := kind_of(scheme)):
            yield store(kind, f"{example}: {name}", url=_url(name, value))
            yield Given(f"{example}: {name}, for tests that read it", variable=name, value=_setting(name, value))
        elif _is_own(name, value) or (name in tests and _is_here(value) and len(_own(services)) == 1):
            yield Given(f"{example}: {name}, for tests that read it", variable=name, value=OWN_URL)
        elif rest and scheme in {"http", "https"}:
            if is_own_url(name) or not is_name(owner_of(name)):
                yield f"{example}: {name} may be the address of the product itself"
                continue
            keys = {"kind": "http", "source": "remote", "url": _url(name, value), "required": False}
            yield Guess(owner_of(name), {key: (each, f"{example}: {name}") for key, each in keys.items()})
        elif rest:
            yield f"{example}: {name} is an address of {scheme!r}, for which nothing is declared"


def _tests_of(index: Index) -> str:
    """Return the source of the conftests and test modules, as far as it can be read."""
    texts = []
    for path in sorted({path for project in index.projects for path in (*project.conftests, *project.test_files)}):
        with suppress(DeclarationError):
            texts.append(read_text(index.root / path))
    return "\n".join(texts)


def _from_tests(index: Index) -> Iterator[Guess | Given | str]:
    """Yield the stores that options of the conftests and fixtures name, and how the suite takes their URLs."""
    for path in sorted({path for project in index.projects for path in project.conftests}):
        for option, line in _url_options(index.root / path):
            origin = f"{path}:{line}: option {option}"
            if re.search(r"ssl|tls", option):
                yield f"{origin} wants a server behind TLS: hand it over in args of [pytest]"
            elif (kind := kind_of(option)) in EMBEDDED:
                yield store(kind, origin)
                yield Given(origin, argument=f"{option}={{{STORES[kind]}.url}}")
            elif is_own_url(option):
                yield Given(origin, argument=f"{option}={OWN_URL}")
            else:
                yield f"{origin}: hand it over in args of [pytest]"
    for fixture in index.fixtures:
        if not fixture.plugin and not _STAND_IN.search(fixture.name) and (kind := kind_of(fixture.name)) in EMBEDDED:
            origin = f"{fixture.path}:{fixture.line}: fixture {fixture.name}"
            yield store(kind, origin, is_vague=is_vague(fixture.name))


def _url_options(conftest: Path) -> Iterator[tuple[str, int]]:
    """Yield the options of a conftest that take a URL, each with its line."""
    try:
        tree = ast.parse(read_text(conftest))
    except (DeclarationError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "addoption":
            for argument in node.args:
                if isinstance(argument, ast.Constant) and _URL_OPTION.fullmatch(str(argument.value)):
                    yield str(argument.value), node.lineno


def _suites(index: Index) -> tuple[str, ...]:
    """Return the topmost directories with tests; the files where they are in the root."""
    return tuple(sorted({path.partition("/")[0] for project in index.projects for path in project.test_files}))
