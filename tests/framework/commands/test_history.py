"""`envmatrix history`, as a user types it, and what a run does for it."""

import json
import sqlite3
from contextlib import closing

import pytest

from envmatrix.history.file import _APPLICATION
from tests.framework.bare import Bare
from tests.framework.commands.shop import Shop, shop

__all__ = ["shop"]


def test_a_test_fails_since_the_commit_that_broke_it(shop: Shop) -> None:
    """By git's order, though the last good commit was run last, as a bisection does."""
    good, bad, worse = (shop.commit() for _ in range(3))
    shop.ran("a.py::test_a=failed", commit=worse)
    shop.ran("a.py::test_a=failed", commit=bad)
    shop.ran("a.py::test_a=passed", commit=good)
    code, out, _ = shop.call("history", "test_a")
    assert code == 0
    assert f"  fails since {bad[:12]}, passed last at {good[:12]}\n" in out
    (local,) = json.loads(shop.call("history", "test_a", "--json")[1])["environments"]
    assert (local["last_good"], local["first_bad"]) == (good, bad)


def test_without_git_the_order_of_the_runs_tells(shop: Shop) -> None:
    """A directory that is no repository, or commits that are gone."""
    for number, outcome in enumerate(("passed", "failed")):
        shop.ran(f"a={outcome}", commit=f"{number}" * 40)
    assert "fails since 111111111111, passed last at 000000000000" in shop.call("history", "a")[1]


def test_one_environment_and_a_limit_are_asked_for(shop: Shop) -> None:
    """What is not shown is counted."""
    for environment in ("local", "local", "staging"):
        shop.ran("a=passed", commit="c" * 40, environment=environment)
    out = shop.call("history", "a", "--environment", "local", "--limit", "1")[1]
    assert "and 1 earlier" in out
    assert "staging" not in out
    shop.ran("b=passed", commit="c" * 40)
    assert "was not run there" in shop.call("history", "b", "--environment", "staging")[1]


@pytest.mark.fault("typo-environment")
@pytest.mark.parametrize("words", [("a",), ()])
def test_an_environment_without_any_run_is_mistyped(shop: Shop, words: tuple[str, ...]) -> None:
    """An empty answer would say that nothing was flaky there."""
    shop.ran("a=passed", commit="c" * 40, environment="staging")
    code, out, err = shop.call("history", *words, "--environment", "stagin")
    assert (code, out, err) == (2, "", "error: the history has no run of 'stagin'. Did you mean 'staging'?\n")


def test_another_branch_says_nothing_about_this_one(shop: Shop) -> None:
    """It fails here since a commit of this branch, though it passes on the other, whichever was run last."""
    good = shop.commit()
    shop.git("checkout", "-qb", "feature")
    bad = shop.commit()
    shop.git("checkout", "-q", "main")
    shop.git("commit", "--allow-empty", "-qm", "of main")  # or it were the same commit
    other = shop.git("rev-parse", "HEAD")
    for commit, outcome in ((good, "passed"), (bad, "failed"), (other, "passed")):
        shop.ran(f"a={outcome}", commit=commit)
    assert f"  passed last at {other[:12]}\n" in shop.call("history", "a")[1]
    shop.git("checkout", "-q", "feature")
    out = shop.call("history", "a")[1]
    assert f"  fails since {bad[:12]}, passed last at {good[:12]}\n" in out
    assert f"{other[:12]} (other branch)  passed" in out


def test_without_a_test_the_flakiest_and_slowest_are_named(shop: Shop) -> None:
    """Both on one screen, and as JSON."""
    shop.ran("a=passed", "b=passed", commit="c" * 40)
    shop.ran("a=failed", "b=passed", commit="c" * 40)
    code, out, _ = shop.call("history")
    assert code == 0
    assert out == "Flakiest\n  50% of 2 runs  local  a\n\nSlowest\n  1.00 s  local  a\n  1.00 s  local  b\n"
    assert json.loads(shop.call("history", "--json")[1])["flakiest"][0]["test"] == "a"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nobody",), 2, "error: the history has no test 'nobody'. Name a node id, or a part of one"),
        (("test_",), 2, "error: 'test_' fits test_1, test_2, test_3 and 1 more. Name more of it"),
        (("test_1", "--history", "gone.sqlite"), 3, "error: history gone.sqlite is missing. Record a run"),
        (("--prune", "7", "--history", "gone.sqlite"), 3, "error: history gone.sqlite is missing. Record a run"),
    ],
)
def test_what_cannot_be_answered_is_one_line(shop: Shop, words: tuple[str, ...], code: int, said: str) -> None:
    """With what to do next."""
    shop.ran(*(f"test_{number}=passed" for number in range(1, 5)), commit="c" * 40)
    ended, out, err = shop.call("history", *words)
    assert (ended, out) == (code, "")
    assert err.startswith(said)
    assert len(err.splitlines()) == 1


def test_old_runs_are_pruned_by_age(shop: Shop) -> None:
    """And younger ones are not."""
    shop.ran("a=passed", commit="c" * 40)
    assert shop.call("history", "--prune", "100000")[1] == "deleted 0 runs older than 100000 days\n"
    assert shop.call("history", "--prune", "1")[1] == "deleted 1 run older than 1 days\n"


def recorded(path: str, shop: Bare) -> int:
    """How many runs a history of the project holds."""
    with closing(sqlite3.connect(shop.root / path)) as connection:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


def test_every_run_is_remembered_where_the_option_says(bare: Bare) -> None:
    """A matrix and a single run; by default below the project's root, out of git."""
    assert bare.run("matrix", "--quiet").returncode == 0
    assert bare.run("run", "local", "--history", "elsewhere/h.sqlite").returncode == 0
    assert recorded(".envmatrix/history.sqlite", bare) == 2
    assert recorded("elsewhere/h.sqlite", bare) == 1


@pytest.mark.fault("history-locked")
def test_a_locked_history_changes_no_verdict(bare: Bare) -> None:
    """One line on standard error after a wait of three seconds; report and exit code are those of the runs."""
    assert bare.run("run", "local").returncode == 0
    before = bare.run("show").stdout
    with closing(sqlite3.connect(bare.root / ".envmatrix/history.sqlite", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        ended = bare.run("run", "local")
    assert ended.returncode == 0
    assert before.splitlines()[1:] == ended.stdout[ended.stdout.index("envmatrix  ") :].splitlines()[1:]
    (warning,) = (line for line in ended.stderr.splitlines() if line.startswith("warning: "))
    assert warning.endswith("history.sqlite: not recorded: database is locked")
    assert recorded(".envmatrix/history.sqlite", bare) == 1


@pytest.mark.fault("history-corrupt")
def test_a_damaged_history_changes_no_verdict(bare: Bare) -> None:
    """It is set aside, a fresh one holds this run, and one line says so."""
    bare.write("suite/test_a.py", "def test_a(): assert 0\n")
    path = bare.write(".envmatrix/history.sqlite", "")
    with closing(sqlite3.connect(path)) as ours, ours:
        ours.execute(f"PRAGMA application_id = {_APPLICATION}")
        ours.execute("CREATE TABLE runs (id)")
    with path.open("r+b") as stream:
        stream.seek(100)  # behind the header, which says whose file it is
        stream.write(b"no database " * 500)
    ended = bare.run("run", "local", "--json")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)
    (warning,) = (line for line in ended.stderr.splitlines() if line.startswith("warning: "))
    (aside,) = path.parent.glob("history.sqlite.corrupt-*")
    assert warning.endswith(f"It is set aside as {aside.name}, and a fresh one begun")
    assert recorded(".envmatrix/history.sqlite", bare) == 1
