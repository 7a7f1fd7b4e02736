"""`python -m tests.differential ARCHIVES PAGE`: run public suites with us and without, plain and by xdist, and compare.

Exits with 0 where every test came out the same, by pytest's own record of both runs and by our run file; then the page's
table is written anew.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tests.differential.compare import compare
from tests.differential.suites import unpacked

WAYS = {"plain": (), "-n 2": ("-n", "2")}
OUTCOMES = ("passed", "failed", "skipped", "xfailed", "xpassed")
HEAD = ("suite", "run", "tests", *OUTCOMES, "exit code", "different")
MEASURED = "With Python "
"""The first words of the page's measured part, which ends with its table."""


def main(words: list[str]) -> int:
    """Compare each suite in each way; print what differs, then the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__.partition("\n")[0])
    parser.add_argument("archives", type=Path, help="the directory of the source distributions")
    parser.add_argument("page", type=Path, help="the page whose table is written anew where nothing differs")
    chosen = parser.parse_args(words)
    console = Console(soft_wrap=True, width=140)
    rows: list[tuple[object, ...]] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="differential-") as scratch:
        for suite in unpacked(chosen.archives, Path(scratch)):
            for way, options in WAYS.items():
                found = compare(suite, options, Path(scratch))
                for each in found.differences[:20]:
                    console.print(f"{suite.title} {way}: {each}", markup=False)
                counts = Counter(found.outcomes.values())
                codes = " / ".join(map(str, dict.fromkeys(found.exit_codes)))
                different = len(found.differences) + (found.exit_codes[0] != found.exit_codes[1])
                failed = failed or different > 0 or not found.outcomes
                outcomes = (counts[each] for each in OUTCOMES)
                rows.append((suite.title, way, len(found.outcomes), *outcomes, codes, different))
                console.print(*rows[-1], markup=False, highlight=False)
    if failed or not rows:
        return 1
    when = f"{MEASURED}{platform.python_version()}, on {datetime.now(UTC):%Y-%m-%d}."
    chosen.page.write_text(measured(chosen.page.read_text(), when, rows))
    return 0


def measured(page: str, when: str, rows: Iterable[Sequence[object]]) -> str:
    """Return a page with its measured part replaced by these rows."""
    lines = page.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(MEASURED))
    last = max(number for number, line in enumerate(lines) if line.startswith("|"))
    rule = ["---", "---", *["--:"] * (len(HEAD) - 2)]
    table = [f"| {' | '.join(map(_cell, row))} |" for row in (HEAD, rule, *rows)]
    return "\n".join([*lines[:first], when, "", *table, *lines[last + 1 :]]) + "\n"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
