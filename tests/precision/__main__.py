"""`python -m tests.precision ARCHIVES`: audit public packages, draw findings of each rule, and count what was judged of them.

Exits with 1 where a drawn finding is not judged yet: judge it in samples.jsonl, and run again.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from envmatrix.analysis.audit.audit import audit
from envmatrix.analysis.audit.baseline import AuditBaseline
from envmatrix.analysis.audit.rules import tokens
from envmatrix.analysis.audit.rules.catalog import ALL, UNKNOWN
from envmatrix.analysis.audit.selection import RuleSelection
from envmatrix.analysis.index.build import index_of
from tests.precision.samples import PAGE, Sample, draw, judged, page, read, write

_AROUND = 2
"""Lines kept on each side of a finding."""
_SECRET = frozenset(rule.code for rule in tokens.RULES)
"""Rules of which no lines are kept."""


def main(words: list[str]) -> int:
    """Write the drawn findings with what is known of them, and the page; tell those that are not judged."""
    parser = argparse.ArgumentParser(prog="python -m tests.precision", description=__doc__.partition("\n")[0])
    parser.add_argument("archives", type=Path, help="the directory of the source distributions")
    archives = sorted(parser.parse_args(words).archives.glob("*.tar.gz"))
    samples = judged(draw(sample for archive in archives for sample in _found(archive)), read())
    write(samples)
    PAGE.write_text(page(samples), encoding="utf-8")
    waiting = [sample for sample in samples if sample.is_right is None]
    console = Console(soft_wrap=True, markup=False, highlight=False)
    for each in waiting:
        console.print(f"{each.package} {each.place}: {each.rule} {each.message}")
    console.print(f"{len(samples)} drawn, {len(waiting)} to judge")
    return int(bool(waiting) or not samples)


def _found(archive: Path) -> Iterator[Sample]:
    name = archive.name.removesuffix(".tar.gz")
    package = "==".join(name.rsplit("-", 1))
    every_rule = RuleSelection(tuple(rule.code for rule in ALL if rule.code != UNKNOWN))
    with tempfile.TemporaryDirectory(prefix="precision-") as directory, tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
        root = Path(directory, name).resolve()
        for each in audit(index_of(root), every_rule, AuditBaseline.empty()).findings:
            lines = (root / each.path).read_text(encoding="utf-8", errors="replace").split("\n")
            snippet = "\n".join(lines[max(0, each.line - 1 - _AROUND) : each.line + _AROUND])
            kept = "" if each.code in _SECRET else snippet
            yield Sample(each.code, package, f"{each.path}:{each.line}", each.message, kept)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
