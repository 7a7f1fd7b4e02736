"""Facts of files that are used while others are still read."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from envmatrix.analysis.source.arriving import Arriving
from envmatrix.analysis.source.facts import Head, Module


def _arriving(seen: list[str]) -> Generator[tuple[str, Module | Head]]:
    try:
        for path in ("b.py", "a.py", "c.py"):
            seen.append(path)
            yield path, Module(digest=path.encode())
    finally:
        seen.append("closed")


def test_no_more_is_awaited_than_what_is_asked_for() -> None:
    """A file that arrives later is not waited for; closing ends the rest."""
    seen: list[str] = []
    files = Arriving(["a.py", "b.py", "c.py", "here.py"], {"here.py": Module()}, _arriving(seen))
    assert files["here.py"] == Module()
    assert files.here("a.py") is None
    assert not seen
    assert [files[path].digest for path in ("a.py", "b.py")] == [b"a.py", b"b.py"]
    files.close()
    assert seen == ["b.py", "a.py", "closed"]


def test_the_last_one_ends_what_parses() -> None:
    """A process that parsed does not wait to be collected as garbage."""
    seen: list[str] = []
    files = Arriving(["a.py", "b.py", "c.py"], {}, _arriving(seen))
    assert files["c.py"].digest == b"c.py"
    assert seen[-1] == "closed"
    assert files["a.py"].digest == b"a.py"


def test_only_the_given_files_are_there() -> None:
    """They are in the given order, whichever arrives first."""
    files = Arriving(["a.py", "b.py", "c.py"], {}, _arriving([]))
    assert list(files) == ["a.py", "b.py", "c.py"]
    assert "d.py" not in files
    with pytest.raises(KeyError):
        files["d.py"]
