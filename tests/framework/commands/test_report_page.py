"""The page that `envmatrix report` and a run write, as a user asks for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.framework.bare import Bare
from tests.framework.commands.shop import Shop, shop
from tests.framework.report.page.chunks import chunks

__all__ = ["shop"]


def page(shop: Shop) -> dict[str, Any]:
    """What the page that was written holds."""
    return chunks((shop.root / "matrix.html").read_text())


def test_the_page_has_what_happened_before(shop: Shop) -> None:
    """The outcomes of earlier runs by the history, and what each number usually is; the exit code is no verdict."""
    for number in range(3):
        shop.ran("a=passed", "b=failed", commit=shop.commit(), login_ms=10.0 + number)
    shop.ran("a=failed", commit=shop.commit(), login_ms=50.0)
    code, out, err = shop.call("report", "run-4.jsonl", "--html", "matrix.html")
    assert (code, out, err) == (0, "", "HTML: matrix.html\n")
    made = page(shop)
    (column,) = made["grid"]["columns"]
    assert (column["outcomes"], column["history_rows"], column["history"]) == ("f", [0], ["ppp"])
    assert made["page"]["numbers"] == [
        {"row": 0, "environment": 0, "name": "login_ms", "value": 50.0, "median": 11.0, "worse": False}
    ]
    assert (made["page"]["against"], column["changes"]) == (None, "")


@pytest.mark.parametrize("words", [("matrix", "--quiet"), ("run", "local")])
def test_a_run_ends_with_its_page(bare: Bare, words: tuple[str, ...]) -> None:
    """Beside the report, with the path; a place that is not there is refused before anything is run. Takes a real run."""
    ended = bare.run(*words, "--html", "matrix.html")
    assert ended.returncode == 0, ended.stderr
    assert "HTML: matrix.html\n" in ended.stderr
    made = chunks((bare.root / "matrix.html").read_text())
    assert {column["outcomes"] for column in made["grid"]["columns"]} == {"p"}
    assert made["grid"]["columns"][0]["began"][0] > 0
    refused = bare.run(*words, "--html", "no/where.html")
    assert (refused.returncode, refused.stderr.partition(".")[0]) == (2, "error: no directory no")
    assert len(list((bare.root / ".envmatrix/runs").glob("*Z-*"))) == 1


def test_two_runs_stand_in_one_page(shop: Shop) -> None:
    """Each cell with what it was on the other side, by the words of `envmatrix compare`; what is gone stands by itself."""
    first, second = shop.commit(), shop.commit()
    shop.ran("a=passed", "b=failed", "c=passed", "gone=skipped", commit=first)
    shop.ran("a=failed", "b=passed", "c=passed", "new=passed", commit=second)
    assert shop.call("report", "run-2.jsonl", "--html", "matrix.html", "--against", first[:9])[0] == 0
    made = page(shop)
    (column,) = made["grid"]["columns"]
    names = [name for name, *_ in made["grid"]["files"]]
    assert dict(zip(names, column["changes"], strict=True)) == {"a": "r", "b": "f", "c": " ", "new": "n"}
    assert dict(zip(names, column["before"], strict=True)) == {"a": "p", "b": "f", "c": "p", "new": "."}
    assert column["before_causes"][names.index("b")] == "l"
    assert made["grid"]["gone"] == [{"test": "gone", "outcomes": "s"}]
    assert made["page"]["against"] == {"title": first[:12], "name": first[:9]}


def test_a_baseline_is_compared_with_unasked(shop: Shop) -> None:
    """One that was tampered with costs a warning, and the comparison alone."""
    shop.ran("a=passed", commit=shop.commit())
    assert shop.call("baseline", "update", "run-1.jsonl")[0] == 0
    assert shop.call("report", "run-1.jsonl", "--html", "matrix.html")[0] == 0
    assert page(shop)["page"]["against"]["name"] == "baseline"
    path = shop.root / "envmatrix-baseline.json"
    path.write_text(path.read_text().replace("passed", "failed"))
    code, _, err = shop.call("report", "run-1.jsonl", "--html", "matrix.html")
    assert (code, err.partition(":")[0]) == (0, "warning")
    assert page(shop)["page"]["against"] is None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "no format to write. Name one: --html FILE"),
        (("--html", "no/where.html"), 2, "cannot be written"),
        (("--html", "matrix.html", "--against", "nobody"), 2, "no matrix is called 'nobody'"),
    ],
)
def test_a_mistake_is_one_line(shop: Shop, words: tuple[str, ...], code: int, said: str) -> None:
    """And no page is written."""
    shop.ran("a=passed", commit=shop.commit())
    ended, _, err = shop.call("report", "run-1.jsonl", *words)
    assert (ended, len(err.splitlines())) == (code, 1)
    assert said in err
    assert not (shop.root / "matrix.html").exists()


@pytest.mark.fault("history-corrupt")
def test_a_damaged_history_costs_the_past_alone(shop: Shop) -> None:
    """Its tables are read when the page is made; the page is written without what they would have said."""
    for _ in range(2):
        shop.ran("a=passed", commit=shop.commit())
    with closing(sqlite3.connect(shop.history)) as connection:
        connection.execute("DROP TABLE tests")
    assert shop.call("report", "run-2.jsonl", "--html", "matrix.html")[0] == 0
    assert page(shop)["grid"]["columns"][0]["history"] == []
