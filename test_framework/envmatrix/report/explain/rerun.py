"""The command that runs one test in one environment again, ready to be pasted into a shell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from envmatrix.environments import Project, declaration_of
from envmatrix.masking import MASK
from envmatrix.report.text import inert
from envmatrix.runs.events import Header
from envmatrix.runs.nodeid import without_number

_CONFORMANCE = Path(__file__).parents[2] / "conformance"
"""The suite that we ship. Its node ids begin there, as those of any file outside of a project do in pytest."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """How to run one test again."""

    command: str
    """Empty where it cannot be known."""
    remarks: tuple[str, ...] = ()
    """What to know before pasting it, or why there is none."""


def rerun(environment: str, test: str, project: Project, header: Header | None = None) -> Rerun:
    """Return the command that runs one test of one environment again, from a project's directory.

    With the header of a run it has that run's options.
    """
    run_options = header.run_options if header else ()
    environment = (header.base if header else "") or environment
    remarks = []
    node_id = without_number(test)
    if header is None or node_id not in header.planned:
        node_id = test  # its own name ends like that
    elif node_id != test:
        remarks.append("Several tests have its name: the command runs them all.")
    file, _, name = node_id.partition("::")
    target = shell_word(node_id)
    if not file:
        return Rerun("", ("Its name does not say in which file it is: it is none of the project's.",))
    if not _is_file(project.root / (header.directory if header else "") / file):
        if _is_file(_CONFORMANCE / file):
            # By module: by path, pytest would look for the project's settings above our package.
            module = f"envmatrix.conformance.{file.removesuffix('.py')}"
            target = f"--pyargs {shell_word('::'.join(filter(None, (module, name))))}"
        else:
            remarks.append(f"There is no {inert(file)} here: run the command in that run's project.")
    declaration, _ = declaration_of(environment, project.environments_dir)
    if "--environments" not in run_options and not _is_file(declaration):
        where = inert(f"{declaration.name} in {project.environments}")
        remarks.append(f"There is no {where}: add --environments DIR, or run the command in that run's project.")
    if MASK in "".join(words := (*run_options, *(header.pytest_options if header else ()))):
        remarks.append("One of the options below holds a secret, which is masked: fill it in.")
    ours, pytests = words[: len(run_options)], words[len(run_options) :]
    command = ["envmatrix run", *map(shell_word, (environment, *ours)), "--", *map(shell_word, pytests), target]
    return Rerun(" ".join(command), tuple(remarks))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a run file from elsewhere may name what no file system takes
        return False


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
