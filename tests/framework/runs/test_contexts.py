"""Contexts of a run: merged, kept by test, read back."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

import pytest

from envmatrix.runs.contexts import Contexts, RanFunction, merged, numbered, read_contexts


def contexts_of(tests: Mapping[str, str], unknown: tuple[str, ...] = ()) -> Contexts:
    """Contexts of tests that ran one function each."""
    return numbered({test: [RanFunction("a.py", name, "d")] for test, name in tests.items()}, {}, (), unknown)


def test_parts_of_a_run_are_merged_by_test() -> None:
    """A test whose parameters ran in several processes ran it all; unknown to one is unknown."""
    both = merged([contexts_of({"t": "f", "u": "f"}), contexts_of({"t": "g"}, unknown=("u",))])
    assert {each.name for each in both.named(both.tests["t"])} == {"f", "g"}
    assert both.unknown == ("u",)
    assert "u" not in both.tests


ODD = {
    "nothing": b"",
    "no gzip": b"no gzip",
    "cut off": b"\x1f\x8b\x08\x00",
    "no such function": gzip.compress(b'{"functions": [], "tests": {"t": [0]}, "schema": 2}'),
    "one that takes a function inside of another for that": gzip.compress(
        b'{"functions": [["a.py", "f", "d"]], "tests": {"t": [0]}}'
    ),
    "nested deep": gzip.compress(b'{"x": ' + b"[" * 100_000),
    "another document": gzip.compress(b"[1]"),
    "what unpacks to more than is kept in memory": gzip.compress(b'{"unknown": ["%s"]}' % (b"t" * (2 << 20))),
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_contexts_that_cannot_be_read_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Reading decides then, as without them."""
    monkeypatch.setattr("envmatrix.runs.contexts._MOST", 1 << 20)
    (tmp_path / "local.contexts.json.gz").write_bytes(content)
    assert read_contexts(tmp_path / "local.jsonl") == Contexts()


def test_a_reused_test_keeps_its_contexts(tmp_path: Path) -> None:
    """Nothing that it ran is changed, so the next impact may rest on them; those of tests that were run are new."""
    run_file = tmp_path / "local.jsonl"
    contexts_of({"run": "new"}).write(run_file)
    earlier = contexts_of({"run": "old", "reused": "f"}).only({"reused"})
    merged([read_contexts(run_file), earlier]).write(run_file)
    found = read_contexts(run_file)
    assert {test: [each.name for each in found.named(ran)] for test, ran in found.tests.items()} == {
        "run": ["new"],
        "reused": ["f"],
    }
