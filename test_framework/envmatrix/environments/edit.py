"""Edit keys of a declaration and nothing else in its file: comments, order and formatting stay."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envmatrix.environments.toml_file import TomlFile
from envmatrix.exceptions import DeclarationError
from envmatrix.safety.output_files import replacing


@dataclass(frozen=True, slots=True)
class ServiceEdit:
    """New values for keys of one `[services.NAME]` table; the table is added if there is none."""

    service: str
    values: Mapping[str, str | bool]

    @property
    def header(self) -> str:
        """Return the line that begins the table."""
        name = self.service if re.fullmatch(r"[A-Za-z0-9_-]+", self.service) else json.dumps(self.service)
        return f"[services.{name}]"

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the lines that the table should have, as TOML."""
        return tuple(f"{key} = {json.dumps(value)}" for key, value in self.values.items())


def edited(file: TomlFile, edits: Iterable[ServiceEdit]) -> str:
    """Return the text of a file with some edits made.

    Raises:
        DeclarationError: a variable fills in a value to change, or the keys cannot be changed without touching others.
    """
    text = file.text
    expected = deepcopy(file.data)
    for edit in edits:
        table = expected.setdefault("services", {}).setdefault(edit.service, {})
        for key, value in edit.values.items():
            if "${" in str(table.get(key)) and table[key] != value:
                what = f"services.{edit.service}.{key} is filled in from a variable: {table[key]}"
                line = file.line_of(("services", edit.service, key))
                raise DeclarationError(file.path, what, line, "Set the variable instead")
        text = _with_keys(text, edit) if table else _with_table(text, edit)
        table.update(edit.values)
    if "\r\n" in file.text and not re.search(r"(?<!\r)\n", file.text):
        text = re.sub(r"(?<!\r)\n", "\r\n", text)
    if not _says(text, expected):
        raise DeclarationError(file.path, "is written so that we cannot change it", hint="Write the lines by hand")
    return text


def _says(text: str, expected: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == expected
    except tomllib.TOMLDecodeError:
        return False


def _with_keys(text: str, edit: ServiceEdit) -> str:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import Table

    try:
        document = tomlkit.parse(text)
        table: Any = document["services"][edit.service]
        # What stands between this table's last key and the next header is about what follows: new keys go before it.
        after = []
        while isinstance(table, Table) and table.value.body and table.value.body[-1][0] is None:
            after.append(table.value.body.pop()[1])
        for key, value in edit.values.items():
            table[key] = value
        for item in reversed(after):
            table.raw_append(None, item)
        return tomlkit.dumps(document)
    except (TOMLKitError, LookupError):  # it reads a few odd files otherwise than tomllib
        return text


def _with_table(text: str, edit: ServiceEdit) -> str:
    start = text if text.endswith("\n") or not text else f"{text}\n"
    return "\n".join([start, edit.header, *edit.lines, ""])


def diff(file: TomlFile, text: str) -> str:
    """Return the change as a unified diff, empty where there is none."""
    name = os.path.relpath(file.path)
    before, after = (each.splitlines(keepends=True) for each in (file.text, text))
    lines = difflib.unified_diff(before, after, name, name)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines).replace("\r\n", "\n")


def rewrite(file: TomlFile, text: str, check: Callable[[Path], object]) -> None:
    """Replace the text of a file, unless the file was changed since it was read.

    `check` is given a temporary file with the new text, and raises if that is wrong. Mode and owner are kept; a reader sees
    all of the old or all of the new text, never a part.

    Raises:
        DeclarationError: the new text is wrong, the file was changed meanwhile, or it must not or cannot be written.
    """
    path = file.path.resolve()  # a link stays one
    try:
        now = path.stat()
        if not now.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
            raise DeclarationError(file.path, "is read-only", hint="Make it writable, or write the lines by hand")
        with replacing(path) as fresh:
            _write(fresh, text, now)
            _checked(file, fresh, check)
            if path.read_bytes() != file.text.encode():
                raise DeclarationError(file.path, "was changed meanwhile", hint="Run again")
    except OSError as error:
        raise DeclarationError(file.path, f"cannot be written: {error.strerror}") from None


def _write(path: Path, text: str, like: os.stat_result) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        with contextlib.suppress(PermissionError):  # another's file that we may write stays so, and becomes ours
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
        stream.write(text.encode())
        stream.flush()
        os.fsync(descriptor)


def _checked(file: TomlFile, fresh: Path, check: Callable[[Path], object]) -> None:
    try:
        check(fresh)
    except DeclarationError as error:
        raise DeclarationError(file.path, f"would be wrong: {error.what}", error.line, error.hint) from None
