"""The page of a rule: what it shows as bad, what is found there, and what it shows as good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.survey import Survey
from envmatrix.analysis.index.fixture_index import Index
from tests.framework.analysis.trees import declare, tree
from tests.framework.docs_pages import ROOT, Block, blocks, folded, headings

PARTS = ("**Why it matters.**", "**Example.**", "**What to do.**", "**What it cannot see.**")

_Find = Callable[[Index, Survey], Iterator[AuditFinding]]


@dataclass(frozen=True)
class Page:
    """One page, its white space folded."""

    code: str
    title: str
    parts: tuple[str, ...]
    """Those of `PARTS` that it has."""
    shown: str
    """What it says is found."""
    bad: str
    """What is found in what it shows as bad."""
    good: str
    """What is found in what it shows as good."""

    @classmethod
    def of(cls, code: str, root: Path, find: _Find) -> Page:
        """Read a page, and run its examples through a family of rules."""
        file = ROOT / "docs" / "rules" / f"{code}.md"
        text = file.read_text(encoding="utf-8")
        examples = blocks(file)
        shown = next(number for number, block in enumerate(examples) if block.language == "text")
        return cls(
            code,
            *headings(file),
            tuple(part for part in PARTS if part in text),
            folded(examples[shown].text),
            folded("\n".join(_lines(code, _found(find, root / "bad", examples[:shown])))),
            folded("\n".join(_lines(code, _found(find, root / "good", examples[shown + 1 :])))),
        )


def _found(find: _Find, root: Path, files: list[Block]) -> Iterator[AuditFinding]:
    root.mkdir()
    declare(root)
    index = tree(root, {file.title: file.text for file in files})
    return find(index, Survey.of(index))


def _lines(code: str, findings: Iterator[AuditFinding]) -> Iterator[str]:
    """Write findings as `envmatrix audit` does."""
    for each in sorted(each for each in findings if each.code == code):
        yield f"{each.path}:{each.line}:{each.column}: {each.code} {each.message}"
        if each.tests:
            yield f"{len(each.tests)} test{'s'[: len(each.tests) != 1]}: {', '.join(each.tests)}"
        yield f"help: {each.hint}"
