"""Load an `Environment` from a TOML file: fill in the variables, validate, check the references."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from envmatrix.environments.check_references import check_references
from envmatrix.environments.check_variants import check_variant
from envmatrix.environments.environment import Environment, Twin
from envmatrix.environments.explain import explained
from envmatrix.environments.references import map_text, substitute, texts_in, variables_in
from envmatrix.environments.service import ServiceSpec
from envmatrix.environments.toml_file import TomlFile, read_toml
from envmatrix.environments.used_keys import OUR_KINDS, known_kinds, unused_keys, usable_keys
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


def declared_names(directory: Path) -> tuple[str, ...]:
    """Return the names of the environments that a directory declares, sorted.

    Raises:
        UsageError: there is no such directory.
        DeclarationError: a file's name is no name of an environment.
    """
    if not directory.is_dir():
        raise UsageError(f"no directory {directory}", "Name the directory of TOML files with --environments DIR")
    names = sorted(path.stem for path in directory.glob("*.toml") if not path.name.startswith("."))
    for name in names:
        if not is_name(name) or "+" in name:  # which stands before a variant's name
            raise DeclarationError(directory / f"{name}.toml", "its name is no name of an environment", hint=ALPHABET)
    return tuple(names)


def declaration_of(name: str, directory: Path) -> tuple[Path, str]:
    """Return the file that declares an environment, and the name of its variant; empty where it is not degraded."""
    declared, _, variant = name.partition("+")
    return directory / f"{declared}.toml", variant


def load_environments(names: Sequence[str], directory: Path, env_file: Path | None = None) -> tuple[Environment, ...]:
    """Load the named environments, or all that a directory declares.

    Raises:
        UsageError: it declares none.
        DeclarationError: one is declared wrongly.
    """
    chosen = tuple(dict.fromkeys(names)) or declared_names(directory)
    if not chosen:
        raise UsageError(f"no environment is declared in {directory}", "Declare one: NAME.toml in that directory")
    return tuple(load_environment(name, directory, env_file=env_file) for name in chosen)


def load_environment(
    name: str, directory: Path, *, variables: Mapping[str, str] | None = None, env_file: Path | None = None
) -> Environment:
    """Load `NAME.toml` of a directory, or as one of its variants: `NAME+VARIANT`.

    `variables` fill in each `${NAME}`; the process's environment, topped up from `env_file`, by default.

    Raises:
        UnknownEnvironmentError: the directory declares no such environment.
        DeclarationError: the file is wrong; the error names the line.
    """
    names = declared_names(directory)
    file, variant = declaration_of(name, directory)
    if file.stem not in names:
        raise UnknownEnvironmentError(name, directory, names)
    environment = load_file(file, variables if variables is not None else process_variables(env_file))
    if not variant:
        return environment
    if (degraded := environment.degraded(variant)) is None:
        variants = (f"{file.stem}+{each}" for each in environment.variants)
        raise UnknownEnvironmentError(name, directory, (file.stem, *variants))
    check_variant(environment.file, degraded)
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


def load_file(path: Path, variables: Mapping[str, str]) -> Environment:
    """Load the environment that one file declares; its secrets are registered for masking.

    Raises:
        DeclarationError: the file is wrong.
    """
    file = read_toml(path)
    data = dict(file.data)
    twin = _twin(file, data.pop("twin", None), variables)
    if twin is None:
        _refuse_unset(file, data, variables)
    data = map_text(raw := data, lambda text: substitute(text, variables))
    services = data.get("services", {})
    if not isinstance(services, dict) or not all(isinstance(table, dict) for table in services.values()):
        raise DeclarationError(path, "services are tables: [services.NAME]", file.line_of(("services",)))
    for service_name, table in services.items():
        if "name" in table:
            line = file.line_of(("services", service_name, "name"))
            raise UnknownKeyError(path, "unknown key 'name' in a service", line, "The table's own name is the name")
    named = {service: {**table, "name": service} for service, table in services.items()}
    written = {
        service: {key: table[key] for key in ("command", "options") if key in table}
        for service, table in raw.get("services", {}).items()
    }
    ours = {"services": named, "name": path.stem, "file": path, "twin": twin, "written": written}
    try:
        environment = Environment.model_validate({**data, **ours})
    except ValidationError as error:
        raise explained(file, error, Environment) from None
    if "services" not in data:
        raise DeclarationError(path, "declares no services", hint="Add a table for each: [services.NAME]")
    MASKER.add_all(environment.secrets())
    for spec in environment.services.values():
        _check_kind(file, spec)
    check_references(file, environment)
    for name in environment.variants:
        if degraded := environment.degraded(name):
            check_variant(path, degraded, file.line_of(("variants", name)))
    return environment


def _check_kind(file: TomlFile, spec: ServiceSpec) -> None:
    """Refuse a kind that no driver is installed for, and keys that the kind or the source does not use."""
    table = ("services", spec.name)
    if spec.kind not in OUR_KINDS and spec.kind not in (known := known_kinds()):
        unknown = UnknownKindError(spec.name, spec.kind, known)
        raise DeclarationError(file.path, unknown.message, file.line_of((*table, "kind")), unknown.hint)
    for key, setting in unused_keys(spec):
        what = f"{key!r} does nothing for a service of {setting}"
        raise UnknownKeyError(file.path, what, file.line_of((*table, key)), nearest(key, usable_keys(spec)))


def _twin(file: TomlFile, table: Any, variables: Mapping[str, str]) -> Twin | None:
    """Return the declared twin, if none of the variables that it would set is set."""
    if table is None:
        return None
    try:
        twin = Twin.model_validate(table)
    except ValidationError as error:
        raise explained(file, error, Twin, ("twin",)) from None
    return None if any(variables.get(name) for name in twin.variables) else twin


def _refuse_unset(file: TomlFile, data: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    for keys, text in texts_in(data):
        for name in variables_in(text):
            if name not in variables:
                family = name.partition("_")[0]  # a process has dozens of others
                similar = nearest(name, [variable for variable in variables if variable.startswith(family)])
                hint = similar or f"Set {name}, or put it in a file given by --env-file"
                raise UnsetVariableError(file.path, f"variable {name} is not set", file.line_of(keys), hint)
