"""`python -m tests.accuracy [NAME …] [--json] [--output]`: inject every fault, or those with these names, and score our causes.

Exits with 0 where no fault was green, none had a wrong cause with confidence, and 95 of 100 are exact; else with 1.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time

from rich.console import Console

from tests.accuracy.cases import CASES
from tests.accuracy.run import run_all
from tests.accuracy.score import Grade, grade, score
from tests.accuracy.table import heading, line, show


def main(words: list[str]) -> int:
    """Run the chosen cases; print each as it comes, then the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only cases with this in their names")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output, progress on error")
    parser.add_argument("--output", action="store_true", help="show pytest's own output of what is not ok")
    chosen = parser.parse_args(words)
    cases = [case for case in CASES if not chosen.names or any(name in case.name for name in chosen.names)]
    if not cases:
        parser.error(f"no case has any of these in its name: {', '.join(chosen.names)}")
    # Whatever the terminal, a line that is cut says nothing.
    console = Console(stderr=chosen.json, soft_wrap=True, width=120)
    began = time.monotonic()
    console.print(heading())
    results = []
    for case, seen in run_all(cases):
        results.append(result := grade(case, seen))
        console.print(line(result))
        if chosen.output and result.grade is not Grade.OK:
            console.print(result.output, style="dim", markup=False, highlight=False)
    figures = score(results, cases)
    show(console, figures, time.monotonic() - began)
    if chosen.json:
        sys.stdout.write(json.dumps(figures.dump(), indent=2) + "\n")
    return 0 if figures.holds else 1


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)  # so that the runs in flight are ended with us
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background job, and by its children
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted; what ran was ended")
