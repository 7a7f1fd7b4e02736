"""The program's command line."""

from __future__ import annotations

import argparse
import os

from .engine import Engine
from .front import Server


def main() -> None:
    """Serve until a signal ends the process; its data need not be saved."""
    parser = argparse.ArgumentParser(description="ClickHouse's HTTP interface in front of chdb.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", required=True, help="directory of the databases")
    options = parser.parse_args()
    password = os.environ.get("CLICKHOUSE_PASSWORD")
    if not password:
        parser.error("CLICKHOUSE_PASSWORD is not set")
    Server((options.host, options.port), Engine(options.data), password).serve_forever()


if __name__ == "__main__":
    main()
