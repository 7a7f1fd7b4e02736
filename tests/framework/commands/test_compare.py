"""`envmatrix compare`, as a user types it."""

import json
import sqlite3
from contextlib import closing

import pytest

from tests.framework.commands.shop import Shop, shop

__all__ = ["shop"]


def test_two_commits_are_compared(shop: Shop) -> None:
    """By whatever git takes for them: a branch, an abbreviation, a step back."""
    first, second = shop.commit(), shop.commit()
    shop.ran("a=passed", "b=failed", commit=first)
    shop.ran("a=failed", "b=passed", commit=second)
    said = []
    for words in ((first, second), (first[:8], "HEAD"), ("HEAD~1", "main")):
        code, out, _ = shop.call("compare", *words)
        assert code == 1
        said.append(out.partition("\n")[2])
    assert said[0].splitlines() == [
        "",
        "local  1 regressed, 1 fixed",
        "  regressed",
        "    a  passed, now failed, logic L401: AssertionError: assert 4 == 3",
        "  fixed",
        "    b  failed, now passed",
        "",
        "1 test worse",
    ]
    assert said[0] == said[1] == said[2]
    assert shop.call("compare", first, second)[1].startswith(f"from {first[:12]} to {second[:12]}\n")


def test_run_files_are_compared_where_nothing_is_remembered(shop: Shop) -> None:
    """And no history is made by asking."""
    first = shop.commit()
    shop.ran("a=passed", commit=first)
    shop.ran("a=passed", "b=passed", commit=first)
    shop.history.unlink()
    code, out, err = shop.call("compare", "run-1.jsonl", "run-2.jsonl")
    assert (code, err) == (0, "")
    assert "local  1 new, 1 same" in out
    assert not shop.history.exists()


def test_a_commit_is_found_that_only_the_history_knows(shop: Shop) -> None:
    """Of a branch that is gone; an abbreviation that fits two is refused."""
    shop.ran("a=passed", commit="abcd1" + "0" * 35)
    shop.ran("a=passed", commit="abcd2" + "0" * 35)
    assert shop.call("compare", "abcd1", "abcd2")[0] == 0
    code, _, err = shop.call("compare", "abcd", "abcd2")
    assert code == 2
    assert err == "error: 'abcd' may be commit abcd10000000 or abcd20000000. Name more of it\n"


@pytest.mark.parametrize(
    ("word", "code", "said"),
    [
        ("nobody", 2, "no matrix is called 'nobody'"),
        ("HEAD", 3, "holds no run of commit"),
        ("last", 2, "no run in"),
        ("baseline", 3, "is missing"),
        ("--upload-pack=x", 2, "No such option"),
        ("no/such/file.jsonl", 2, "no matrix is called"),
    ],
)
def test_a_side_that_is_not_there_is_named(shop: Shop, word: str, code: int, said: str) -> None:
    """Usage where the word means nothing, unknown where what it means is missing."""
    shop.commit()
    shop.ran("a=passed", commit="c" * 40)
    ended, out, err = shop.call("compare", word, "run-1.jsonl")
    assert (ended, out) == (code, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_slower_is_found_by_the_history(shop: Shop) -> None:
    """Five earlier passed runs at least; the compared run itself is none of them."""
    first, second = shop.commit(), shop.commit()
    for number in range(5):
        shop.ran("a=passed", commit=first, duration=1.0 + number / 100)
    shop.ran("a=passed", commit=second, duration=3.0)
    code, out, _ = shop.call("compare", first, "run-6.jsonl")
    assert code == 0
    assert "    a  3.00 s, usually 1.02 s\n" in out
    assert "slower" not in shop.call("compare", "run-1.jsonl", "run-2.jsonl")[1]


def test_numbers_that_got_worse_are_found_by_the_history(shop: Shop) -> None:
    """By `compare`, by the gate and by every report of the matrix: ten earlier passed runs at least."""
    first, second = shop.commit(), shop.commit()
    for number in range(10):
        shop.ran("a=passed", commit=first, login_ms=30.0 + number / 10)
    shop.ran("a=passed", commit=second, login_ms=90.0)
    code, out, _ = shop.call("compare", first, "run-11.jsonl")
    assert code == 0
    assert "    a  login_ms 90, usually 30.45 (10 runs)\n" in out
    for words in (("gate", "--dry-run"), ("show",), ("show", "--format=markdown"), ("show", "--json")):
        assert "login_ms 90, usually 30.45 (10 runs)" in shop.call(*words, "run-11.jsonl")[1]
        assert "usually" not in shop.call(*words, "run-10.jsonl")[1]


@pytest.mark.fault("history-corrupt")
def test_a_damaged_history_changes_no_verdict(shop: Shop) -> None:
    """Neither where it cannot be opened, which is a warning, nor where a page in the middle is broken."""
    first = shop.commit()
    for _ in range(10):
        shop.ran("a=passed", commit=first, login_ms=30.0)
    shop.ran("a=passed", commit=first, login_ms=90.0)
    with closing(sqlite3.connect(shop.history)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = shop.history.read_bytes()
    for damaged in (b"no history at all", whole[:4096] + b"\xff" * (len(whole) - 4096)):
        shop.history.write_bytes(damaged)
        code, out, _ = shop.call("gate", "run-11.jsonl")
        assert code == 0
        assert "gate  open" in out


@pytest.mark.fault("history-corrupt")
def test_a_damaged_history_is_a_warning_where_nobody_needs_it(shop: Shop) -> None:
    """Two run files say the same without it; a commit is not found, and the file is left where it is."""
    shop.commit()
    shop.ran("a=passed", commit="c" * 40)
    shop.history.write_text("this is no database " * 500)
    code, _, err = shop.call("compare", "run-1.jsonl", "run-1.jsonl")
    assert code == 0
    assert err.startswith("warning: history ")
    assert len(err.splitlines()) == 1
    assert shop.call("compare", "HEAD", "run-1.jsonl")[0] == 3
    assert shop.history.exists()


def test_the_baseline_knows_renames_through_the_history(shop: Shop) -> None:
    """Its file holds outcomes; the run that it was made of knows the bodies."""
    first, second = shop.commit(), shop.commit()
    shop.ran("a.py::old=passed", "b.py::old=passed", commit=first)
    assert shop.call("baseline", "update", "run-1.jsonl")[0] == 0
    shop.ran("a.py::new=passed", "b.py::old=failed", commit=second)
    code, out, _ = shop.call("compare", "baseline", "run-2.jsonl")
    assert code == 1
    assert f"from baseline at {first[:12]} to run-2.jsonl at {second[:12]}" in out
    assert "    a.py::new  was a.py::old\n" in out
    shop.history.unlink()
    assert "1 regressed, 1 new, 1 removed" in shop.call("compare", "baseline", "run-2.jsonl")[1]


def test_flaky_is_a_regression_where_the_gate_does_not_allow_it(shop: Shop) -> None:
    """One policy, for both commands."""
    first, second = shop.commit(), shop.commit()
    shop.ran("a=passed", commit=first)
    shop.ran("a=flaky", commit=second)
    path = shop.root / "run-2.jsonl"
    text = path.read_text()
    attempt = next(line for line in text.splitlines() if '"attempt"' in line)
    failed = attempt.replace("flaky", "failed")
    path.write_text(text.replace(attempt, f"{failed}\n{attempt.replace('flaky', 'passed')}"))
    assert shop.call("compare", "run-1.jsonl", "run-2.jsonl")[0] == 0
    project = (shop.root / "pyproject.toml").read_text()
    shop.bare.write("pyproject.toml", f'{project}\n[tool.envmatrix.gate]\nallowed = ["skipped"]\n')
    assert shop.call("compare", "run-1.jsonl", "run-2.jsonl")[0] == 1


def test_json_is_alone_on_standard_output(shop: Shop) -> None:
    """For programs; a directory is a matrix."""
    shop.ran("a=passed", commit="c" * 40)
    shop.ran("a=passed", commit="d" * 40, environment="staging")
    code, out, _ = shop.call("compare", ".", "run-1.jsonl", "--json")
    document = json.loads(out)
    assert code == document["exit_code"] == 3
    assert [(each["name"], each["gaps"]) for each in document["environments"]] == [
        ("local", []),
        ("staging", ["after: there is no run"]),
    ]


def test_who_breaks_fixes_and_renames_a_test_reads_so(shop: Shop) -> None:
    """From real runs, remembered as they end. Takes four of them."""
    shop.bare.write(".gitignore", "__pycache__/\n")
    broken = "def test_old():\n    assert [1] == [2]\n"
    commits = []
    for text in ("def test_old():\n    assert [1] == [1]\n", broken, broken.replace("old", "new")):
        shop.bare.write("suite/test_a.py", text)
        shop.git("add", "-A")
        commits.append(shop.commit())
        assert shop.bare.run("run", "local").returncode == (0 if len(commits) == 1 else 1)
    assert "    suite/test_a.py::test_old  passed, now failed, logic L401" in shop.call("compare", *commits[:2])[1]
    code, out, _ = shop.call("compare", *commits[1:])
    assert (code, "suite/test_a.py::test_new  was suite/test_a.py::test_old" in out) == (0, True)
    assert shop.call("compare", commits[0], commits[2])[0] == 1
    shop.bare.write("suite/test_a.py", "def test_new():\n    assert [1] == [1]\n")
    shop.git("add", "-A")
    shop.commit()
    assert shop.bare.run("matrix", "local", "--quiet").returncode == 0
    assert "    suite/test_a.py::test_new  failed, now passed\n" in shop.call("compare", commits[2], "last")[1]
    local = json.loads(shop.call("history", "test_new", "--json")[1])["environments"][0]
    assert [entry["outcome"] for entry in local["entries"]] == ["passed", "failed", "failed", "passed"]
