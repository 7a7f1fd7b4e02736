"""The command that runs one test in one environment again, ready to be pasted into a shell."""

from __future__ import annotations

import functools
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


class Reruns:
    """Makes the commands that run tests of one environment again, from a project's directory.

    With the header of a run they have that run's options.
    """

    def __init__(self, environment: str, project: Project, header: Header | None = None) -> None:
        environment = (header.base if header else "") or environment
        ours, pytests = (header.run_options, header.pytest_options) if header else ((), ())
        words = ["envmatrix run", *map(shell_word, (environment, *ours)), "--", *map(shell_word, pytests), ""]
        self.before = " ".join(words)
        """The command up to the first test's name."""
        self._project = project
        self._suite = project.root / (header.directory if header else "")
        self._planned = header.planned if header else ()
        self._files: dict[str, tuple[str, tuple[str, ...]]] = {}
        """File → its module, where it is of the suite that we ship, and what to know of it."""
        remarks = []
        declaration, _ = declaration_of(environment, project.environments_dir)
        if "--environments" not in ours and not _is_file(declaration):
            where = inert(f"{declaration.name} in {project.environments}")
            remarks.append(f"There is no {where}: add --environments DIR, or run the command in that run's project.")
        if MASK in "".join((*ours, *pytests)):
            remarks.append("One of the options below holds a secret, which is masked: fill it in.")
        self._remarks = tuple(remarks)

    def of(self, test: str) -> Rerun:
        """Return the command that runs one test again."""
        numbered: tuple[str, ...] = ()
        node_id = without_number(test)
        if node_id != test:
            if node_id in self._planned:
                numbered = ("Several tests have its name: the command runs them all.",)
            else:
                node_id = test  # its own name ends like that
        file, _, name = node_id.partition("::")
        if not file:
            return Rerun("", ("Its name does not say in which file it is: it is none of the project's.",))
        if file not in self._files:
            self._files[file] = self._about(file)
        module, remarks = self._files[file]
        pyargs = f"--pyargs {shell_word('::'.join(filter(None, (module, name))))}" if module else ""
        return Rerun(f"{self.before}{pyargs or shell_word(node_id)}", (*numbered, *remarks, *self._remarks))

    def _about(self, file: str) -> tuple[str, tuple[str, ...]]:
        if _is_file(self._suite / file):
            return "", ()
        if module := shipped_module(file, self._project):
            return module, ()
        return "", (f"There is no {inert(file)} here: run the command in that run's project.",)


def shipped_module(file: str, project: Project) -> str:
    """Return the module of a file of the suite that we ship, or an empty text for any other.

    By path, pytest would look for the project's settings above our package.
    """
    if file not in _shipped() or _is_file(project.root / file):
        return ""
    return f"envmatrix.conformance.{file.removesuffix('.py')}"


@functools.cache
def _shipped() -> frozenset[str]:
    """Return the files of the suite that we ship."""
    return frozenset(path.relative_to(_CONFORMANCE).as_posix() for path in _CONFORMANCE.rglob("*.py"))


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
