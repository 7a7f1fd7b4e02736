"""A cache that makes things faster and nothing else."""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from envmatrix.analysis.source.cache import Cache, Stamp
from envmatrix.analysis.source.parse_file import digest_of

_DIGEST = digest_of(b"source")


def _old_file(path: Path) -> Stamp:
    """Make a file that changed long ago, as far as its stamp says."""
    path.touch()
    status = path.stat()
    return Stamp(status.st_mtime_ns - 10**12, status.st_ctime_ns - 10**12, status.st_size, status.st_ino)


def _kept(file: Path, path: str, stamp: Stamp) -> bytes | None:
    with Cache(file) as cache:
        return dict(cache.unchanged({path: stamp})).get(path)


def _fill(file: Path, path: str, stamp: Stamp) -> None:
    with Cache(file) as cache:
        cache.put(_DIGEST, b"facts")
        cache.remember(path, stamp, _DIGEST, b"head")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where the cache is."""
    return tmp_path / ".envmatrix/cache.sqlite"


def test_facts_are_found_by_stamp_and_by_digest(file: Path, tmp_path: Path) -> None:
    """A file that did not change need not be read; one with known bytes need not be parsed."""
    name = os.fsdecode(os.fsencode(tmp_path) + b"/not-utf8-\xff.py")
    stamp = _old_file(Path(name))
    _fill(file, name, stamp)
    assert _kept(file, name, stamp) == b"head"
    assert _kept(file, "another.py", stamp) is None
    with Cache(file) as cache:
        assert cache.get(_DIGEST) == b"facts"
        assert cache.get(digest_of(b"other source")) is None


@pytest.mark.parametrize("field", ["mtime_ns", "ctime_ns", "size", "inode"])
def test_a_file_that_changed_in_any_way_is_read_again(field: str, file: Path, tmp_path: Path) -> None:
    """Times, size and inode must all be the same."""
    stamp = _old_file(tmp_path / "a.py")
    _fill(file, "a.py", stamp)
    changed = {name: getattr(stamp, name) for name in Stamp._fields} | {field: getattr(stamp, field) + 1}
    assert _kept(file, "a.py", Stamp(**changed)) is None


def test_a_file_touched_a_moment_ago_is_not_trusted(file: Path) -> None:
    """It may change again and look the same: its facts are found by its bytes alone."""
    now = time.time_ns()
    stamp = Stamp(now - 1_000_000, now - 1_000_000, 1, 1)
    _fill(file, "a.py", stamp)
    assert _kept(file, "a.py", stamp) is None
    with Cache(file) as cache:
        assert cache.get(_DIGEST) == b"facts"


def test_other_options_find_nothing(file: Path) -> None:
    """What is read depends on them."""
    with Cache(file, ["real_services"]) as cache:
        cache.put(_DIGEST, b"facts")
    with Cache(file) as cache:
        assert cache.get(_DIGEST) is None
    with Cache(file, ["real_services"]) as cache:
        assert cache.get(_DIGEST) == b"facts"


def _truncate(file: Path) -> None:
    os.truncate(file, 5000)


def _scramble(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + b"\xaa" * (len(whole) - 100))


@pytest.mark.parametrize("damage", [_truncate, _scramble])
def test_a_broken_cache_is_no_cache_and_mends(damage: Callable[[Path], None], file: Path, tmp_path: Path) -> None:
    """Nothing is raised and nothing wrong is found; the run after the next has a cache again."""
    stamp = _old_file(tmp_path / "a.py")
    _fill(file, "a.py", stamp)
    damage(file)
    assert _kept(file, "a.py", stamp) is None
    _fill(file, "a.py", stamp)
    _fill(file, "a.py", stamp)
    assert _kept(file, "a.py", stamp) == b"head"


def test_damaged_facts_are_not_handed_out(file: Path, tmp_path: Path) -> None:
    """Each has a checksum: SQLite has none of its own."""
    stamp = _old_file(tmp_path / "a.py")
    _fill(file, "a.py", stamp)
    with sqlite3.connect(file) as connection:
        for table, column in (("facts", "facts"), ("heads", "head")):
            damaged = f"CAST(substr({column}, 1, length({column}) - 1) || 'X' AS BLOB)"
            connection.execute(f"UPDATE {table} SET {column} = {damaged}")
    connection.close()
    assert _kept(file, "a.py", stamp) is None
    with Cache(file) as cache:
        assert cache.get(_DIGEST) is None


def test_a_file_of_somebody_else_stays_as_it_is(tmp_path: Path) -> None:
    """A database that is not ours, and what is no database, is neither used nor removed."""
    text, database = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("mine " * 1000)
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE facts (a)")
    connection.close()
    before = text.read_bytes(), database.read_bytes()
    for file in (text, database, tmp_path, tmp_path / "notes.txt/cache.sqlite"):
        _fill(file, "a.py", Stamp(0, 0, 0, 0))
        assert _kept(file, "a.py", Stamp(0, 0, 0, 0)) is None
    assert (text.read_bytes(), database.read_bytes()) == before


def test_a_locked_cache_is_not_waited_for(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another run writes, this one goes without."""
    monkeypatch.setattr("envmatrix.analysis.source.cache._LOCKED_S", 0.01)
    stamp = _old_file(tmp_path / "a.py")
    _fill(file, "a.py", stamp)
    other = sqlite3.connect(file)
    other.execute("BEGIN EXCLUSIVE")
    assert _kept(file, "a.py", stamp) is None
    _fill(file, "b.py", stamp)
    other.close()
    assert _kept(file, "a.py", stamp) == b"head"


def test_what_nobody_asked_for_in_two_weeks_is_forgotten(file: Path, tmp_path: Path) -> None:
    """What was asked for since stays."""
    stamp = _old_file(tmp_path / "a.py")
    with Cache(file) as cache:
        for name in ("used.py", "old.py"):
            cache.put(digest_of(name.encode()), name.encode())
            cache.remember(name, stamp, digest_of(name.encode()), name.encode())
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE facts SET day = day - 15")
        connection.execute("UPDATE heads SET day = day - 15")
    connection.close()
    assert _kept(file, "used.py", stamp) == b"used.py"
    assert _kept(file, "used.py", stamp) == b"used.py"
    assert _kept(file, "old.py", stamp) is None


def test_its_directory_is_kept_out_of_git(file: Path, tmp_path: Path) -> None:
    """Our own directory says so to git; any other is left alone."""
    _fill(file, "a.py", Stamp(0, 0, 0, 0))
    assert (file.parent / ".gitignore").read_text() == "*\n"
    _fill(tmp_path / "cache.sqlite", "a.py", Stamp(0, 0, 0, 0))
    assert not (tmp_path / ".gitignore").exists()
