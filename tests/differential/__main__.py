"""`python -m tests.differential ARCHIVES`: run public suites with us and without, plain and by xdist, and compare.

Exits with 0 where every test came out the same, by pytest's own record of both runs and by our run file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from tests.differential.compare import compare
from tests.differential.suites import unpacked

WAYS = {"plain": (), "-n 2": ("-n", "2")}
OUTCOMES = ("passed", "failed", "skipped", "xfailed", "xpassed")


def main(words: list[str]) -> int:
    """Compare each suite in each way; print what differs, then the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__.partition("\n")[0])
    parser.add_argument("archives", type=Path, help="the directory of the source distributions")
    console = Console(soft_wrap=True, width=140)
    table = Table("suite", "run", "tests", *OUTCOMES, "exit codes", "different", box=SIMPLE)
    failed = False
    with tempfile.TemporaryDirectory(prefix="differential-") as scratch:
        for suite in unpacked(parser.parse_args(words).archives, Path(scratch)):
            for way, options in WAYS.items():
                found = compare(suite, options, Path(scratch))
                for each in found.differences[:20]:
                    console.print(f"{suite.title} {way}: {each}", markup=False)
                counts = Counter(found.outcomes.values())
                different = len(found.differences) + (found.exit_codes[0] != found.exit_codes[1])
                failed = failed or different > 0 or not found.outcomes
                codes = " / ".join(map(str, found.exit_codes))
                row = [len(found.outcomes), *(counts[each] for each in OUTCOMES), codes, different]
                table.add_row(suite.title, way, *map(str, row))
    console.print(table)
    return int(failed or not table.row_count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
