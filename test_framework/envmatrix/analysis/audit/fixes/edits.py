"""Edits of the files of a tree: shown as a diff, written all or none, and taken back."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from envmatrix.exceptions import CannotFixError


@dataclass(frozen=True, slots=True)
class Edit:
    """The text of a file before and after; None before for a new file."""

    path: str
    before: str | None
    after: str

    @property
    def diff(self) -> str:
        """Return the edit as `git diff` shows it and `git apply` takes it."""
        old = "/dev/null" if self.before is None else f"a/{self.path}"
        lines = difflib.unified_diff(_lines(self.before or ""), _lines(self.after), old, f"b/{self.path}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """Split text as git and Python's parser do: at line feeds, not at form feeds."""
    return [f"{line}\n" for line in text.split("\n")[:-1]] + [last for last in text.split("\n")[-1:] if last]


def read(root: Path, path: str) -> str | None:
    """Return the text of a file, None where there is none.

    Raises:
        CannotFixError: it is no file of the tree alone, cannot be read, or is not UTF-8.
    """
    file = root / path
    try:
        if file.resolve() != root.resolve() / path:
            raise CannotFixError(
                f"{path} is reached through a link, and may belong to another tree too: mend it by hand"
            )
        return file.read_bytes().decode() if file.exists() else None
    except UnicodeDecodeError:
        raise CannotFixError(f"{path} is not UTF-8: mend it by hand") from None
    except OSError as error:
        raise CannotFixError(f"{path} cannot be read: {error.strerror}") from None


def write(root: Path, edits: Sequence[Edit]) -> None:
    """Write the files of some edits, new files too.

    Raises:
        CannotFixError: a file was changed since it was read, or cannot be written; nothing is changed then.
    """
    for edit in edits:
        if (root / edit.path).exists() is (edit.before is None) or not _is(root, edit.path, edit.before):
            raise CannotFixError(f"{edit.path} was changed meanwhile: run again")
    for count, edit in enumerate(edits, start=1):
        try:
            (root / edit.path).write_bytes(edit.after.encode())
        except OSError as error:
            restore(root, edits[:count])
            raise CannotFixError(f"{edit.path} cannot be written: {error.strerror}. Nothing was changed") from None


def restore(root: Path, edits: Sequence[Edit]) -> None:
    """Restore every file of some edits.

    Raises:
        CannotFixError: some cannot be put back; the others are.
    """
    if lost := list(_not_restored(root, edits)):
        raise CannotFixError(f"{', '.join(lost)} cannot be put back as before: git diff shows what was changed")


def _not_restored(root: Path, edits: Sequence[Edit]) -> Iterator[str]:
    for edit in edits:
        file = root / edit.path
        try:
            if edit.before is None:
                file.unlink(missing_ok=True)
            elif not _is(root, edit.path, edit.before):  # it may not even be writable
                file.write_bytes(edit.before.encode())
        except OSError:
            yield edit.path


def _is(root: Path, path: str, text: str | None) -> bool:
    try:
        return text is None or (root / path).read_bytes() == text.encode()
    except OSError:
        return False
