"""`envmatrix drift`, as a user types it: over run files, and over environments that are up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envmatrix.runs.events import Attempt, Attestation, Fingerprint
from envmatrix.runs.file import RunWriter
from envmatrix.runs.outcomes import Outcome
from envmatrix.runs.ping import Ping, PingStatus
from tests.framework.bare import Bare
from tests.framework.docs_pages import ROOT
from tests.framework.project import TINY_SERVER, TINY_TOML
from tests.framework.run_files import footer, header


def ran(bare: Bare, when: str, environment: str, version: str, outcome: str) -> Path:
    """Write the run of an environment with one database."""
    path = bare.root / f".envmatrix/runs/{when}/{environment}.jsonl"
    writer = RunWriter(path)
    ping = Ping(service="database", status=PingStatus.UP, version=version)
    for event in (
        header(environment, planned=["test_a"], sources={"database": "remote"}),
        Attestation(moment="before", services={"database": ping}),
        Attempt("test_a", Outcome(outcome)),
        Fingerprint({"database": {"settings": {"timezone": "UTC"}}}),
        footer(),
    ):
        writer.write(event)
    writer.close()
    return path


@pytest.fixture
def history(bare: Bare) -> Bare:
    """A project with an earlier and a last run of one environment, and one of another."""
    ran(bare, "20260101T000000Z-a", "local", "PostgreSQL 15.2", "failed")
    ran(bare, "20260102T000000Z-a", "local", "PostgreSQL 18.4", "passed")
    last = ran(bare, "20260103T000000Z-a", "staging", "PostgreSQL 15.2", "failed")
    (last.parents[1] / "latest").symlink_to(last.parent.name)
    return bare


def test_the_last_run_of_each_environment_is_compared(history: Bare) -> None:
    """Whenever they were: with the results that go with a difference, and exit code 1."""
    ended = history.run("drift", "local", "staging")
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.splitlines()[:3] == [
        "                   local            staging",
        "database  version  PostgreSQL 18.4  PostgreSQL 15.2",
        "  test_a: passes on 1 of 1 with database version PostgreSQL 18.4, fails on 1 of 1 with database version PostgreSQL 15.2",
    ]
    assert history.run("drift", "staging", "staging").returncode == 2


def test_files_and_directories_are_compared(history: Bare) -> None:
    """An old run of an environment with its last, in one call with others; equal names are told apart by their time."""
    runs = history.root / ".envmatrix/runs"
    old = str(runs / "20260101T000000Z-a/local.jsonl")
    document = json.loads(history.run("drift", old, str(runs / "20260102T000000Z-a"), "staging", "--json").stdout)
    assert document["sides"] == ["local 2026-01-02 03:04", "local 2026-01-02 03:04", "staging"]
    (split,) = document["splits"]
    assert split["results"]["test_a"] == [[0, 2], [1, 0]]


def test_sides_without_a_difference_are_exit_code_0(history: Bare) -> None:
    """In Markdown, too."""
    old = str(history.root / ".envmatrix/runs/20260101T000000Z-a/local.jsonl")
    ended = history.run("drift", old, "staging", "--format=markdown")
    assert (ended.returncode, ended.stdout) == (0, "## Drift: no difference\n\n\n\n")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("local", "stagin"), "Did you mean 'staging'?"),
        (("local",), "Name two environments or run files"),
        ((), "Name two environments or run files"),
        (("local", "no/such.jsonl"), "no run file no/such.jsonl"),
        (("local", "staging", "--format=github"), "no format 'github'"),
    ],
)
def test_a_mistake_is_one_line(history: Bare, words: tuple[str, ...], hint: str) -> None:
    """And exit code 2."""
    ended = history.run("drift", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert hint in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_an_environment_without_a_run_is_looked_at_now(bare: Bare) -> None:
    """Started for it, and ended; one that does not start is unknown."""
    bare.write("server.py", TINY_SERVER.read_text())
    bare.write("environments/tiny.toml", TINY_TOML)
    bare.write("environments/broken.toml", TINY_TOML.replace('"server.py"', '"missing.py"'))
    bare.write("environments/empty.toml", "[services]\n")
    ended = bare.run("drift", "tiny", "broken", "--json")
    assert ended.returncode == 3, ended.stderr
    document = json.loads(ended.stdout)
    assert document["sides"] == ["tiny now", "broken now"]
    assert "broken now: version of backend: not used there, or not up" in document["unknown"]
    assert bare.run("drift", "local", "empty").returncode == 0


def test_the_reference_environments_are_read_whole() -> None:
    """Schemas of two stores, settings, documents: all of a real system. Seconds, since all of it starts."""
    ended = Bare(ROOT).run("drift", "--live", "local", "auth_service", "--json", timeout=180)
    assert ended.returncode == 1, ended.stderr
    document = json.loads(ended.stdout)
    assert document["unknown"] == []
    found = {(each["service"], each["trait"]) for split in document["splits"] for each in split["differences"]}
    assert ("database", "schema column backend.threads.id") in found
    assert ("backend", "source") in found
    assert not any(trait.startswith(("openapi", "settings")) for _, trait in found)
