"""The command that runs exactly one test in one environment again, ready to be pasted into a shell."""

from __future__ import annotations

import re
import shlex

from test_framework.masking import MASK
from test_framework.report.text import inert

_CONFORMANCE = re.compile(r"(?:.*/)?test_framework/tests/(\w+)\.py(?=::|$)")
"""A node id of the suite that we ship, wherever it is installed."""


def rerun_command(environment: str, test: str) -> str:
    """Return the command; empty where the test's name is masked, so that nobody knows it.

    Where only its parameters are, the command runs the test with all of them.
    """
    if MASK in test:
        test = without_parameters(test)
        if MASK in test:
            return ""
    # By module: by path, pytest would look for the project's settings above our package.
    module, ours = _CONFORMANCE.subn(r"test_framework.tests.\1", test, count=1)
    target = f"--pyargs {shell_word(module)}" if ours else shell_word(test)
    return f"envmatrix run {shell_word(environment)} -- {target}"


def without_parameters(test: str) -> str:
    """Return a node id without what stands in brackets at its end."""
    file, separator, rest = test.partition("::")
    return f"{file}{separator}{rest.partition('[')[0]}"


def shell_word(text: str) -> str:
    r"""Return text as one word of a shell's command line, itself inert.

    What a terminal or a CI log would obey, or nobody could see, is spelt `$'\x1b'`, which bash and zsh read.
    """
    if inert(text) == text:
        return shlex.quote(text)
    return f"$'{inert(''.join(map(_escaped, text)))}'"


def _escaped(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogateescape"))
