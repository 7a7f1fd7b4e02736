"""Load an `Environment` from a TOML file: fill in the variables, validate, check the references."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from envmatrix.environments.check_references import check_references
from envmatrix.environments.check_variants import check_variant
from envmatrix.environments.declaration import Declaration, read_declaration, value_at
from envmatrix.environments.environment import Environment, Twin
from envmatrix.environments.explain import explained
from envmatrix.environments.project import Project
from envmatrix.environments.references import map_text, substitute, texts_in, variables_in
from envmatrix.environments.service import ServiceSpec
from envmatrix.environments.used_keys import KINDS, known_kinds, unused_keys, usable_keys
from envmatrix.exceptions import (
    DeclarationError,
    UnknownEnvironmentError,
    UnknownKeyError,
    UnknownKindError,
    UnsetVariableError,
    UsageError,
    nearest,
)
from envmatrix.masking import MASKER, secrets_among
from envmatrix.safety.input_files import read_text
from envmatrix.safety.names import ALPHABET, is_name

_DRIVERS = "Name the driver of a kind of your own in pyproject.toml: [tool.envmatrix.kinds]"


def declared_names(directory: Path) -> tuple[str, ...]:
    """Return the names of the environments that a directory declares, sorted.

    A file whose name begins with an underscore declares none: others extend it.

    Raises:
        UsageError: there is no such directory.
        DeclarationError: a file's name is no name of an environment.
    """
    if not directory.is_dir():
        raise UsageError(f"no directory {directory}", "Name the directory of TOML files with --environments DIR")
    names = sorted(path.stem for path in directory.glob("*.toml") if not path.name.startswith((".", "_")))
    for name in names:
        if not is_name(name) or "+" in name:  # which stands before a variant's name
            raise DeclarationError(directory / f"{name}.toml", "its name is no name of an environment", hint=ALPHABET)
    return tuple(names)


def declaration_of(name: str, directory: Path) -> tuple[Path, str]:
    """Return the file that declares an environment, and the name of its variant; empty where it is not degraded."""
    declared, _, variant = name.partition("+")
    return directory / f"{declared}.toml", variant


def load_environments(
    names: Sequence[str],
    directory: Path,
    env_file: Path | None = None,
    overrides: Sequence[str] = (),
    alias: str = "",
) -> tuple[Environment, ...]:
    """Load the named environments, or all that a directory declares.

    Raises:
        UsageError: it declares none.
        DeclarationError: one is declared wrongly.
    """
    chosen = tuple(dict.fromkeys(names)) or declared_names(directory)
    if not chosen:
        raise UsageError(f"no environment is declared in {directory}", "Declare one: NAME.toml in that directory")
    return tuple(
        load_environment(name, directory, env_file=env_file, overrides=overrides, alias=alias) for name in chosen
    )


def load_environment(
    name: str,
    directory: Path,
    *,
    variables: Mapping[str, str] | None = None,
    env_file: Path | None = None,
    overrides: Sequence[str] = (),
    alias: str = "",
) -> Environment:
    """Load `NAME.toml` of a directory, or as one of its variants: `NAME+VARIANT`.

    `variables` fill in each `${NAME}`; the process's environment, topped up from `env_file`, by default. `overrides` are
    the words of `--set`, and `alias` is the name that its runs have in reports.

    Raises:
        UnknownEnvironmentError: the directory declares no such environment.
        DeclarationError: the file is wrong; the error names the line.
        UsageError: an override or the alias is wrong.
    """
    names = declared_names(directory)
    if alias and (not is_name(alias) or "+" in alias):
        raise UsageError(f"--as {alias[:200]!r} is no name", ALPHABET)
    if alias in names:
        raise UsageError(f"--as {alias} would pass for the declared environment {alias!r}", "Name another one")
    file, variant = declaration_of(name, directory)
    if file.stem not in names:
        raise UnknownEnvironmentError(name, directory, names)
    variables = process_variables(env_file) if variables is None else variables
    environment = load_file(file, variables, overrides).model_copy(update={"alias": alias})
    if not variant:
        return environment
    if (degraded := environment.degraded(variant)) is None:
        variants = (f"{file.stem}+{each}" for each in environment.variants)
        raise UnknownEnvironmentError(name, directory, (file.stem, *variants))
    check_variant(degraded, environment.file)
    return degraded


def process_variables(env_file: Path | None) -> dict[str, str]:
    """Return the process's environment, topped up from a file; its secrets are registered for masking.

    Raises:
        DeclarationError: the file cannot be read.
    """
    variables = dict(os.environ)
    if env_file is not None:
        from dotenv import dotenv_values  # here: few runs have such a file, and each would pay for the import

        values = dotenv_values(stream=StringIO(read_text(env_file)), interpolate=False)
        variables = {**{name: value or "" for name, value in values.items()}, **variables}
    MASKER.add_all(secrets_among(variables))
    return variables


def load_file(path: Path, variables: Mapping[str, str], overrides: Sequence[str] = ()) -> Environment:
    """Load the environment that one file declares; its secrets are registered for masking.

    Raises:
        DeclarationError: the file, or one that it extends, is wrong.
        UsageError: an override is wrong.
    """
    file = read_declaration(path, overrides)
    data = dict(file.data)
    twin = _twin(file, data.pop("twin", None), variables)
    if twin is None:
        _refuse_unset(file, data, variables)
    data = map_text(raw := data, lambda text: substitute(text, variables))
    services = _service_tables(file, data)
    own = _own_kinds(path, {str(table.get("kind")) for table in services.values()})
    named = {service: _named(service, table, path.stem, own) for service, table in services.items()}
    written = {
        service: {key: table[key] for key in ("command", "health_command", "options") if key in table}
        for service, table in raw.get("services", {}).items()
    }
    ours = {"services": named, "name": path.stem, "file": path, "twin": twin, "written": written}
    ours |= {"bases": file.paths[1:], "overrides": tuple(overrides)}
    ours |= {"written_args": value_at(raw, ("pytest", "args"))[1] or ()}
    try:
        environment = Environment.model_validate({**data, **ours})
    except ValidationError as error:
        raise explained(file, error, Environment) from None
    if "services" not in data:
        raise DeclarationError(path, "declares no services", hint="Add a table for each: [services.NAME]")
    MASKER.add_all(environment.secrets())
    for spec in environment.services.values():
        _check_kind(file, spec, own)
    check_references(file, environment)
    for name in environment.variants:
        if degraded := environment.degraded(name):
            check_variant(degraded, *file.place_of(("variants", name)))
    return environment


def _service_tables(file: Declaration, data: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the tables of the services.

    Raises:
        DeclarationError: one is no table, or says what is not for a file to say.
    """
    services = data.get("services", {})
    if not isinstance(services, dict) or not all(isinstance(table, dict) for table in services.values()):
        place, line = file.place_of(("services",))
        raise DeclarationError(place, "services are tables: [services.NAME]", line)
    for service_name, table in services.items():
        for key, hint in (("name", "The table's own name is the name"), ("driver", _DRIVERS)):
            if key in table:
                place, line = file.place_of(("services", service_name, key))
                raise UnknownKeyError(place, f"unknown key {key!r} in a service", line, hint)
    return dict(services)


def _own_kinds(path: Path, used: set[str]) -> Mapping[str, tuple[str, str]]:
    """Return the driver of each kind that the project around a declaration defines; read only where one may be used.

    Raises:
        DeclarationError: the project's own table is wrong.
    """
    if used <= KINDS.keys():
        return {}
    project = Project.find(path.parent)
    return {kind: (str(project.root), driver) for kind, driver in project.kinds.items()}


def _named(name: str, table: Mapping[str, Any], environment: str, own: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a service's table with its name, its own kind's driver, and the environment's name where its identity asks for it."""
    table = {**table, "name": name}
    if table.get("kind") in own:
        table["driver"] = own[table["kind"]]
    if "identity" in table:
        table["identity"] = map_text(table["identity"], lambda text: text.replace("{environment}", environment))
    return table


def _check_kind(file: Declaration, spec: ServiceSpec, own: Iterable[str]) -> None:
    """Refuse a kind that no driver is installed for, and keys that the kind or the source does not use."""
    table = ("services", spec.name)
    if spec.kind not in KINDS and spec.kind not in (known := (*known_kinds(), *own)):
        unknown = UnknownKindError(spec.name, spec.kind, known)
        path, line = file.place_of((*table, "kind"))
        raise DeclarationError(path, unknown.message, line, unknown.hint)
    unused = dict(unused_keys(spec))
    decided = min(file.depth_of((*table, key)) for key in ("kind", "source"))
    inherited = [key for key in unused if file.depth_of((*table, key)) > decided]
    for key, setting in unused.items():
        what, (path, line) = f"{key!r} does nothing for a service of {setting}", file.place_of((*table, key))
        hint = nearest(key, usable_keys(spec))
        if key in inherited:
            names = json.dumps([".".join((*table, each)) for each in inherited])
            hint = f"What inherits it can write remove = {names}"
        raise UnknownKeyError(path, what, line, hint)


def _twin(file: Declaration, table: Any, variables: Mapping[str, str]) -> Twin | None:
    """Return the declared twin, if none of the variables that it would set is set."""
    if table is None:
        return None
    try:
        twin = Twin.model_validate(table)
    except ValidationError as error:
        raise explained(file, error, Twin, ("twin",)) from None
    if any(variables.get(name) for name in twin.variables):
        return None
    where = file.place_of(("twin", "environment"))[0].parent
    return (
        twin
        if where == file.path.parent
        else twin.model_copy(update={"environment": str((where / twin.environment).absolute())})
    )


def _refuse_unset(file: Declaration, data: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    for keys, text in texts_in(data):
        for name in variables_in(text):
            if name not in variables:
                family = name.partition("_")[0]  # a process has dozens of others
                similar = nearest(name, [variable for variable in variables if variable.startswith(family)])
                hint = similar or f"Set {name}, or put it in a file given by --env-file"
                path, line = file.place_of(keys)
                raise UnsetVariableError(path, f"variable {name} is not set", line, hint)
