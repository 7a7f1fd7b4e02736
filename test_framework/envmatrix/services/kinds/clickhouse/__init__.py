"""ClickHouse: the kind, and the program that serves the real engine where it is embedded."""

from envmatrix.services.kinds.clickhouse.kind import KIND

__all__ = ["KIND"]
