"""Check the references between the services of a declaration: each leads somewhere, and none of them in a circle."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from envmatrix.environments.environment import Environment
from envmatrix.environments.references import GLOBAL_FIELDS, REFERENCE_FIELDS, references_in
from envmatrix.environments.toml_file import TomlFile
from envmatrix.exceptions import DeclarationError, ReferenceCycleError, UnknownReferenceError, nearest

_LOGIN_KINDS = frozenset({"postgres", "redis", "clickhouse", "mysql", "s3", "amqp"})
"""Kinds whose URL holds a password."""


def check_references(file: TomlFile, environment: Environment) -> None:
    """Refuse a reference to what is not declared, one that would show a password, and a cycle of services.

    Raises:
        DeclarationError: there is one; the error names its line.
    """
    for keys, text in _texts(environment):
        for name, field in references_in(text):
            _check_reference(file, keys, environment, name, field)
            if keys[-1] == "health_command" and field and name != keys[1]:
                path, line = file.place_of(keys)
                what = f"{{{name}.{field}}} in health_command: only its own {{{keys[1]}.…}} is filled in there"
                raise UnknownReferenceError(path, what, line, "The service that it needs has a health of its own")
            if keys[-1] in {"command", "health_command"} and _tells_password(environment, name, field):
                what = f"{{{name}.{field}}} in {keys[-1]} would show a password"
                how = "Put it in env: a command's words are readable by everybody (ps)"
                path, line = file.place_of(keys)
                raise DeclarationError(path, what, line, how)
    for service in environment.services.values():
        if strangers := [name for name in service.needs if name not in environment.services]:
            path, line = file.place_of(("services", service.name, "needs"))
            what = f"{strangers[0]!r} in needs names no service"
            raise UnknownReferenceError(path, what, line, nearest(strangers[0], environment.services))
        for text in service.identity.values():
            for name, _ in references_in(text):
                path, line = file.place_of(("services", service.name, "identity"))
                what = f"{{{name}}} in identity: only {{environment}} is filled in there"
                raise UnknownReferenceError(path, what, line, "Name what it is, or a ${VARIABLE}")
    _check_named_services(file, environment)
    try:
        TopologicalSorter({name: spec.references for name, spec in environment.services.items()}).prepare()
    except CycleError as error:
        cycle = error.args[1]
        path, line = file.place_of(("services", cycle[0]))
        what = f"services wait for each other: {' → '.join(reversed(cycle))}"
        raise ReferenceCycleError(path, what, line, "Drop one of the references") from None


def _check_named_services(file: TomlFile, environment: Environment) -> None:
    speaking = [name for name, spec in environment.services.items() if spec.kind == "http"]
    named = {
        ("users", "service"): (environment.users.service if environment.users else None, [*environment.services]),
        ("contract", "http_client"): (environment.contract.http_client, speaking),
    }
    for keys, (name, known) in named.items():
        if name is not None and name not in known:
            path, line = file.place_of(keys)
            kind = " of kind 'http'" if known is speaking else ""
            raise UnknownReferenceError(
                path, f"{'.'.join(keys)} names {name!r}, which is no service{kind} here", line, nearest(name, known)
            )


def _texts(environment: Environment) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each text that may name services, with the keys that lead to it."""
    for name, service in environment.services.items():
        yield from ((("services", name, "command"), word) for word in service.command)
        yield from ((("services", name, "health_command"), word) for word in service.health_command)
        yield from ((("services", name, "env", key), value.get_secret_value()) for key, value in service.env.items())
    table = environment.pytest
    yield from ((("pytest", "args"), word) for word in table.args)
    yield from ((("pytest", "env", key), value.get_secret_value()) for key, value in table.env.items())


def _tells_password(environment: Environment, name: str, field: str) -> bool:
    return field == "password" or (field == "url" and environment.services[name].kind in _LOGIN_KINDS)


def _check_reference(file: TomlFile, keys: tuple[str, ...], environment: Environment, name: str, field: str) -> None:
    if not field:
        what, word, known = f"unknown reference {{{name}}}", name, GLOBAL_FIELDS
    elif name not in environment.services:
        what, word, known = f"{{{name}.{field}}} names no service", name, frozenset(environment.services)
    else:
        what, word, known = f"{{{name}.{field}}}: a service has no {field!r}", field, REFERENCE_FIELDS
    if word not in known:
        path, line = file.place_of(keys)
        raise UnknownReferenceError(path, what, line, nearest(word, known))
