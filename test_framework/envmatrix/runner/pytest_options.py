"""pytest's command-line options, as far as we must know them: which take a value, and which choose tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PytestOption:
    """One option of pytest or of a plugin that is often with it."""

    names: tuple[str, ...]
    """The first is the one that we show."""
    has_value: bool = False
    may_repeat: bool = False
    """Whether each use adds a value."""
    chooses: bool = False
    """Whether it chooses which of the suite's tests run, or whether any does."""
    narrows: str = ""
    """Its name in pytest's `config.option`, if a run with it is narrowed."""


PYTEST_OPTIONS = (
    PytestOption(("-k",), has_value=True, chooses=True, narrows="keyword"),
    PytestOption(("-m",), has_value=True, chooses=True, narrows="markexpr"),
    PytestOption(("--deselect",), has_value=True, may_repeat=True, chooses=True, narrows="deselect"),
    PytestOption(("--ignore",), has_value=True, may_repeat=True, chooses=True, narrows="ignore"),
    PytestOption(("--ignore-glob",), has_value=True, may_repeat=True, chooses=True, narrows="ignore_glob"),
    PytestOption(("--lf", "--last-failed"), chooses=True, narrows="lf"),
    PytestOption(("--sw", "--stepwise", "--sw-skip", "--stepwise-skip"), chooses=True, narrows="stepwise"),
    PytestOption(("--ff", "--failed-first"), chooses=True),
    PytestOption(("--lfnf", "--last-failed-no-failures"), has_value=True, chooses=True),
    PytestOption(("--co", "--collect-only"), chooses=True),
    PytestOption(("--pyargs",), chooses=True),
    PytestOption(("--setup-only", "--setuponly"), chooses=True, narrows="setuponly"),
    PytestOption(("--setup-plan", "--setupplan"), chooses=True, narrows="setupplan"),
    PytestOption(("--noconftest",), narrows="noconftest"),
    PytestOption(("--rootdir",), has_value=True, narrows="rootdir"),
    PytestOption(("-c", "--config-file"), has_value=True, narrows="inifilename"),
    *(PytestOption((name,), has_value=True) for name in ("-n", "-o", "-p", "-r", "-W")),
    *(
        PytestOption((name,))
        for name in (
            "--cache-clear",
            "--disable-warnings",
            "--doctest-modules",
            "--exitfirst",
            "--fixtures",
            "--full-trace",
            "--keep-duplicates",
            "--markers",
            "--matrix-destructive",
            "--new-first",
            "--nf",
            "--no-header",
            "--no-showlocals",
            "--no-summary",
            "--pdb",
            "--quiet",
            "--runxfail",
            "--setup-show",
            "--showlocals",
            "--strict",
            "--strict-config",
            "--strict-markers",
            "--trace",
            "--verbose",
        )
    ),
)
_BY_NAME = {name: option for option in PYTEST_OPTIONS for name in option.names}


def takes_next_word(word: str) -> bool:
    """Return whether an argument of pytest's may take the next one as its value, as any unknown long option may."""
    if (option := _BY_NAME.get(word)) is not None:
        return option.has_value
    return word.startswith("--") and "=" not in word


def chooses_tests(word: str) -> bool:
    """Return whether an argument of pytest's is an option that chooses which tests run."""
    name = word.partition("=")[0] if word.startswith("--") else word[:2]
    return name in _BY_NAME and _BY_NAME[name].chooses
