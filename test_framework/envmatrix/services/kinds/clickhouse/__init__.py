"""ClickHouse: the kind, and the program that serves the real engine where it is embedded."""
