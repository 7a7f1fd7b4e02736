"""`envmatrix show --query`, as a user types it."""

import json

import pytest

from tests.framework.commands.shop import Shop, shop

__all__ = ["shop"]


@pytest.mark.parametrize("format_", ["terminal", "markdown", "json", "github"])
def test_a_query_chooses_the_tests_and_not_the_verdict(shop: Shop, format_: str) -> None:
    """Every format says how many of how many are shown; what is not shown still decides."""
    shop.ran("a=passed", "b=failed", "c=flaky", commit=shop.commit())
    code, out, err = shop.call("show", "run-1.jsonl", "--query", "flaky", "--format", format_)
    assert (code, err) == (1, "")
    if format_ == "json":
        document = json.loads(out)
        assert document["selection"] == {"query": "flaky", "tests": 3}
        assert [test["id"] for test in document["tests"]] == ["c"]
        assert (document["exit_code"], document["environments"][0]["answer"]) == (1, "incompatible")
    else:
        assert "1 of 3 tests, each verdict is of all; selected by: flaky" in out
        assert "incompatible" in out
        assert "assert 4 == 3" not in out


def test_without_a_query_nothing_is_said_of_one(shop: Shop) -> None:
    """The document says so to programs, too."""
    shop.ran("a=passed", commit=shop.commit())
    assert "selected" not in shop.call("show", "run-1.jsonl")[1]
    assert json.loads(shop.call("show", "run-1.jsonl", "--json")[1])["selection"] is None


def test_a_query_that_fits_no_test_shows_none(shop: Shop) -> None:
    """The verdict is there all the same, and is the exit code."""
    shop.ran("a=failed", commit=shop.commit())
    code, out, _ = shop.call("show", "run-1.jsonl", "--query", "skipped")
    assert code == 1
    assert "0 of 1 test, each verdict is of all; selected by: skipped" in out


def test_words_of_changes_compare_with_the_side_that_is_named(shop: Shop) -> None:
    """As `envmatrix compare` does."""
    first, second = shop.commit(), shop.commit()
    shop.ran("a=passed", "b=failed", commit=first)
    shop.ran("a=failed", "b=failed", "c=passed", commit=second)
    for side in (first, "run-1.jsonl"):
        _, out, _ = shop.call("show", "run-2.jsonl", "--query", "regressed or new", "--against", side, "--json")
        assert [test["id"] for test in json.loads(out)["tests"]] == ["a", "c"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--query", "failed in:lokal"),
            "query, character 11: no environment is called 'lokal'. Did you mean 'local'?",
        ),
        (("--query", "regressed"), "'regressed' says how a cell changed, and there is nothing to compare with"),
        (("--query", "regressed", "--against", "nobody"), "no matrix is called 'nobody'"),
        (("--against", "last"), "--against is for words of a query. Ask one: --query regressed"),
    ],
)
def test_a_mistake_is_one_line(shop: Shop, words: tuple[str, ...], said: str) -> None:
    """Usage, with the character where it shows."""
    shop.ran("a=passed", commit=shop.commit())
    code, out, err = shop.call("show", "run-1.jsonl", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
