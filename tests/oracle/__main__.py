"""`python -m tests.oracle [SUITE …]`: have pytest collect public suites, read them ourselves, and compare every request.

Exits with 0 where no answer is false, missed or wrong, on the suites as they are and with fixtures taken away.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from envmatrix.analysis.index.build import index_of
from tests.oracle.collect import account_of
from tests.oracle.compare import Comparison, Verdict, compare
from tests.oracle.plant import copy, plant
from tests.oracle.suites import Suite, installed, unpacked

COLUMNS = (
    "suite",
    "version",
    "files",
    "tests",
    "requests",
    *Verdict,
    "missing to both",
    "tests: pytest only",
    "ours only",
    "left out",
    "s",
)
SEED = 5


def main(words: list[str]) -> int:
    """Compare the chosen suites; print what differs as it is found, then the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="SUITE", help="only these; by default all that are installed")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="the interpreter that has the suites")
    parser.add_argument("--archives", type=Path, help="a directory of source distributions: their suites instead")
    parser.add_argument("--plant", type=int, default=0, metavar="N", help="take away N fixtures of a copy of each, too")
    parser.add_argument("--seed", type=int, default=SEED, help="which ones")
    parser.add_argument("--show", type=int, default=20, metavar="N", help="so many differences of each suite")
    chosen = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="oracle-suites-") as scratch:
        return _compare(parser, chosen, Path(scratch).resolve())


def _compare(parser: argparse.ArgumentParser, chosen: argparse.Namespace, scratch: Path) -> int:
    found = unpacked(chosen.archives, scratch, chosen.python) if chosen.archives else installed(chosen.python)
    suites = {suite.name: suite for suite in found}
    if unknown := [name for name in chosen.names if name not in suites]:
        parser.error(
            f"{', '.join(unknown)}: not installed for {chosen.python}; there are: {', '.join(suites) or 'none'}"
        )
    console = Console(soft_wrap=True, width=160)
    table = Table(*COLUMNS, box=SIMPLE)
    failed = False
    for name in chosen.names or suites:
        for title, found, seconds in _of_suite(suites[name], chosen.plant, chosen.seed, console):
            _show(console, found, chosen.show)
            table.add_row(title, suites[name].version, *_cells(found), f"{seconds:.0f}")
            failed = failed or not found.is_right
    console.print(table)
    return int(failed)


def _of_suite(suite: Suite, count: int, seed: int, console: Console) -> Iterator[tuple[str, Comparison, float]]:
    console.print(f"{suite.name} {suite.version} …")
    yield suite.name, *_compared(suite.root, suite)
    if count:
        with tempfile.TemporaryDirectory(prefix="oracle-planted-") as directory:
            root = copy(suite.root, Path(directory))
            for planted in plant(root, index_of(root, (root / suite.tests,), python=suite.python), count, seed):
                console.print(f"  {planted.path}:{planted.line}: {planted.name} {planted.how}", style="dim")
            yield f"{suite.name}, {count} taken away", *_compared(root, suite)


def _compared(root: Path, suite: Suite) -> tuple[Comparison, float]:
    account = account_of(root, suite.python, tests=suite.tests)
    began = time.monotonic()
    found = compare(account, index_of(root, (root / suite.tests,), python=suite.python))
    return found, time.monotonic() - began


def _cells(found: Comparison) -> list[str]:
    numbers = [found.files, found.tests, found.requests, *(found.counts[each] for each in Verdict), found.missing]
    numbers += [len(found.only_pytest), len(found.only_ours), found.left]
    return [f"{number:,}" for number in numbers]


def _show(console: Console, found: Comparison, most: int) -> None:
    order = list(Verdict)
    for difference in sorted(found.differences, key=lambda each: order.index(each.verdict))[:most]:
        console.print(f"  {difference}", markup=False, highlight=False)
    for what, keys in (("only pytest collects", found.only_pytest), ("only ours", found.only_ours)):
        for key in keys[:most]:
            console.print(f"  {what} {'::'.join(key)}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
