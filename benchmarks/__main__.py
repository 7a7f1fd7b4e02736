"""`python -m benchmarks [NAME …]`: take the measurements, print the ratios, write `.envmatrix/bench.json`."""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path

import psutil
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks import (
    audit,
    clients,
    health,
    impact,
    inner_loop,
    matrix,
    merge,
    page,
    page_peers,
    proxy,
    recorder,
    reset,
    sampler,
    start,
)
from benchmarks.rows import Row

MEASUREMENTS = {
    "clients": clients.measure,
    "reset": reset.measure,
    "start": start.measure,
    "health": health.measure,
    "inner-loop": inner_loop.measure,
    "proxy": proxy.measure,
    "recorder": recorder.measure,
    "sampler": sampler.measure,
    "matrix": matrix.measure,
    "merge": merge.measure,
    "page": page.measure,
    "audit": audit.measure,
    "impact": impact.measure,
}
LARGE = {"merge-million": merge.measure_million, "page-peers": page_peers.measure}
"""Taken only when they are named: each takes minutes."""
PROGRESS = Console(stderr=True, highlight=False)
_FILE = Path(".envmatrix/bench.json")


def main(names: list[str]) -> int:
    """Take the named measurements, or all."""
    if unknown := set(names) - {*MEASUREMENTS, *LARGE}:
        PROGRESS.print(f"no measurement {min(unknown)!r}; there are: {', '.join([*MEASUREMENTS, *LARGE])}")
        return 2
    chosen = names or list(MEASUREMENTS)
    rows: list[Row] = []
    for number, name in enumerate(chosen, 1):
        began = time.monotonic()
        PROGRESS.print(f"{number} of {len(chosen)}: {name} …", end=" ")
        rows += (MEASUREMENTS | LARGE)[name]()
        PROGRESS.print(f"{time.monotonic() - began:.0f} s")
    _write(rows)
    console = Console(width=120)
    console.print(_table(rows))
    console.print(f"written: {_FILE}")
    return 0


def _write(rows: list[Row]) -> None:
    machine = {"cpus": psutil.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    _FILE.parent.mkdir(exist_ok=True)
    document = {"machine": machine, "rows": [row.dump() for row in rows]}
    _FILE.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _table(rows: list[Row]) -> Table:
    table = Table("what", "ours", "against", "it takes", "ratio", "goal", box=SIMPLE)
    for row in rows:
        ours, peer = f"{row.ours:.3f} {row.unit}", f"{row.peer:.3f} {row.unit}"
        table.add_row(row.name, ours, row.peer_name, peer, f"{row.ratio:.3f} x", row.goal)
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
