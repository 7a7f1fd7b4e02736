"""The command that runs exactly one test in one environment again, ready to be pasted into a shell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from envmatrix.environments import Project
from envmatrix.masking import MASK
from envmatrix.report.text import inert

_CONFORMANCE = Path(__file__).parents[2] / "conformance"
"""The suite that we ship. Its node ids begin there, as those of any file outside of a project do in pytest."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """How to run exactly one test again."""

    command: str
    """Empty where nobody can know it."""
    remarks: tuple[str, ...] = ()
    """What to know before pasting it, or why there is none."""


def rerun(environment: str, test: str, project: Project) -> Rerun:
    """Return how one test of one environment is run again, by someone who stands in a project."""
    remarks = []
    if MASK in test:
        masked, test = test, without_parameters(test)
        if MASK in test:
            return Rerun("", ("It cannot be run by its name: a secret in it is masked.",))
        remarks.append(f"The command below runs all that is left of {inert(masked)}: a secret in it is masked.")
    file, _, name = test.partition("::")
    target = shell_word(test)
    if not file:
        return Rerun("", ("Its name does not say in which file it is: it is none of the project's.",))
    if not _is_file(project.root / file):
        if _is_file(_CONFORMANCE / file):
            # By module: by path, pytest would look for the project's settings above our package.
            module = f"envmatrix.conformance.{file.removesuffix('.py')}"
            target = f"--pyargs {shell_word('::'.join(filter(None, (module, name))))}"
        else:
            remarks.append(f"There is no {inert(file)} here: run the command in that run's project.")
    if not _is_file(project.environments_dir / f"{environment}.toml"):
        where = inert(f"{environment}.toml in {project.environments}")
        remarks.append(f"There is no {where}: add --environments DIR, or run the command in that run's project.")
    return Rerun(f"envmatrix run {shell_word(environment)} -- {target}", tuple(remarks))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a run file from elsewhere may name what no file system takes
        return False


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
