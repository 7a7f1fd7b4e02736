"""`envmatrix history export` and `import`, and questions `--from` what they wrote, as a user types them."""

import json
import sys
from pathlib import Path

import pytest

from tests.framework.commands.shop import Shop, shop

__all__ = ["shop"]


def test_what_was_exported_is_asked_like_the_history(shop: Shop) -> None:
    """Word for word, of one test and of all; twice exported is once written."""
    good, bad = shop.commit(), shop.commit()
    shop.ran("a.py::test_a=passed", "b=passed", commit=good)
    shop.ran("a.py::test_a=failed", "b=passed", commit=bad, environment="staging")
    shop.ran("a.py::test_a=failed", "b=passed", commit=bad)
    assert shop.call("history", "export", "runs") == (0, "wrote 3 runs to runs\n", "")
    assert shop.call("history", "export", "runs") == (0, "wrote 0 runs to runs\n", "")
    for words in ([], ["test_a"], ["test_a", "--environment", "local", "--json"], ["--json", "--limit", "1"]):
        answer = shop.call("history", *words)
        assert answer[0] == 0
        for place in ("runs", "runs/**/*.parquet", str(shop.root / "runs/date=*/environment=*/*.parquet")):
            assert shop.call("history", *words, "--from", place) == answer
    assert shop.call("history", "--from", "runs/*/environment=local/*", "--environment", "staging")[0] == 2


def test_runs_of_another_machine_are_added_once(shop: Shop) -> None:
    """The history has them then as if they had been run here, for commands that read no Parquet."""
    commit = shop.commit()
    run = shop.ran("a=passed", commit=commit)
    shop.history.unlink()
    assert shop.call("history", "export", "runs", str(run.file)) == (0, "wrote 1 run to runs\n", "")
    assert shop.call("history")[0] == 3
    assert shop.call("history", "import", "runs") == (0, "added 1 run from runs\n", "")
    assert shop.call("history", "import", "runs") == (0, "added 0 runs from runs\n", "")
    assert "passed last at" in shop.call("history", "a")[1]
    assert shop.call("compare", commit, commit)[0] == 0


def test_a_test_may_have_the_name_of_a_command(shop: Shop) -> None:
    """`test` in full asks for it."""
    shop.ran("export=passed", "test=passed", commit="c" * 40)
    assert json.loads(shop.call("history", "test", "export", "--json")[1])["test"] == "export"
    assert json.loads(shop.call("history", "--json", "export")[1])["test"] == "export"


@pytest.mark.fault("history-locked")
def test_runs_that_cannot_be_added_are_unknown(shop: Shop) -> None:
    """Exit 3, and what is there is left alone."""
    run = shop.ran("a=passed", commit="c" * 40)
    shop.call("history", "export", "runs", str(run.file))
    shop.history.write_text("somebody's own")
    code, out, err = shop.call("history", "import", "runs")
    assert (code, out) == (3, "added 0 runs from runs\n")
    assert "left alone" in err
    assert shop.history.read_text() == "somebody's own"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--from", "nowhere"), 3, "error: history nowhere holds no run as Parquet. Is its name right"),
        (("--from", "nowhere", "--history", "h.sqlite"), 2, "error: both --from and --history"),
        (("--from", "nowhere", "--prune", "3"), 2, "error: --from has runs to ask about, and nothing else"),
        (("export", "runs/*"), 2, "error: runs/* is a pattern. Name one directory"),
        (("export", "runs", "--history", "gone.sqlite"), 3, "error: history gone.sqlite is missing"),
        (("export", "/dev/null/runs"), 3, "error: history /dev/null/runs cannot be written: Not a directory"),
        (("import", "nowhere"), 3, "error: history nowhere holds no run as Parquet"),
    ],
)
def test_what_cannot_be_done_is_one_line(shop: Shop, words: tuple[str, ...], code: int, said: str) -> None:
    """With what to do next."""
    shop.ran("a=passed", commit="c" * 40)
    ended, out, err = shop.call("history", *words)
    assert (ended, out) == (code, "")
    assert err.startswith(said)
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("missing", ["duckdb", "obstore"])
def test_a_missing_extra_is_named(shop: Shop, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    shop.ran("a=passed", commit="c" * 40)
    monkeypatch.setitem(sys.modules, missing, None)
    place = "runs" if missing == "duckdb" else "s3://bucket/runs"
    code, _, err = shop.call("history", "export", place)
    assert (code, err) == (
        2,
        f"error: {missing!r} is not installed. Install it with: pip install 'envmatrix[parquet]'\n",
    )
    assert not Path("runs").exists()
