"""Bring the database to the newest revision, or to the one that MIGRATE_TO names."""

import os
from pathlib import Path

import psycopg

REVISIONS = sorted((Path(__file__).parent.parent / "migrations").glob("*.sql"))


def migrate(connection, target):
    connection.execute("CREATE TABLE IF NOT EXISTS revisions (name text PRIMARY KEY)")
    done = {name for (name,) in connection.execute("SELECT name FROM revisions")}
    for revision in REVISIONS:
        if revision.stem not in done and revision.stem[:4] <= target:
            connection.execute(revision.read_text())
            connection.execute("INSERT INTO revisions VALUES (%s)", (revision.stem,))
            print("applied", revision.stem)


if __name__ == "__main__":
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        migrate(connection, os.environ.get("MIGRATE_TO") or "9999")
