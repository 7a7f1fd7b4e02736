"""Names of environments: one component of a path, in letters that every file system and terminal shows alike.

A name may come from a run file, a manifest or an archive of somebody else; it becomes a path only through `check_name`.
"""

from __future__ import annotations

import re

from envmatrix.exceptions import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
ALPHABET = "A name has letters of ASCII, digits, '.', '_' and '-', at most 100, and begins with a letter or digit; '+' stands before a variant's"


def is_name(text: str) -> bool:
    """Return whether a text can be the name of an environment."""
    return bool(_NAME.fullmatch(text))


def check_name(text: str) -> str:
    """Return the name of an environment as it is.

    Raises:
        UsageError: it is none.
    """
    if not is_name(text):
        raise UsageError(f"{text[:200]!r} is no name of an environment", ALPHABET)
    return text
