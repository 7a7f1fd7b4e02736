"""A program: ClickHouse's HTTP interface in front of the real engine, which chdb runs inside this process.

`python -m server --host HOST --port PORT --data DIRECTORY`, with the password in `CLICKHOUSE_PASSWORD`. It is run with
the directory above as its import path, and imports nothing else of ours and little beside chdb: so it is up as soon as
the engine is.
"""
