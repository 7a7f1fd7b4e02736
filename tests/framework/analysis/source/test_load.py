"""Loading many files: the same facts whether they come from the cache, from here or from other processes."""

import os
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from envmatrix.analysis.source import load, workers
from envmatrix.analysis.source.cache import Cache
from envmatrix.analysis.source.facts import FIXTURES_AND_TESTS, Head, Module, Unread, Wanted
from envmatrix.analysis.source.load import load_changes, load_modules
from envmatrix.analysis.source.parse_file import digest_of, parse_file
from envmatrix.analysis.source.parts.file_parts import TOP, UNREAD, FileVersion, decode


@pytest.fixture
def in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two processes read whatever there is, in chunks of three files."""
    monkeypatch.setattr(load, "_WORTH_PROCESSES", 0)
    monkeypatch.setattr(load, "usable_processors", lambda: 2)
    monkeypatch.setattr(workers, "_CHUNK_FILES", 3)


def _files(root: Path, count: int = 8) -> list[str]:
    files = [root / f"test_{number}.py" for number in range(count)]
    for number, file in enumerate(files):
        file.write_text(f"def test_{number}(real_services): assert real_services['x']\n")
    return list(map(str, files))


def _decoded(modules: Mapping[str, Module]) -> dict[str, tuple[Module, FileVersion]]:
    """The facts and parts of files: the sets among these are encoded in any order."""
    return {
        file: (replace(module, parts=b""), UNREAD if module.unread else decode(module.parts))
        for file, module in modules.items()
    }


@pytest.mark.fault("not-utf8")
@pytest.mark.fault("empty-file")
@pytest.mark.fault("huge-file")
def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    """A file that is gone, a directory, a pipe, a huge one, one that is no text or no Python: each is unread, none an error."""
    (tmp_path / "not_utf8.py").write_bytes(b"x = '\xff'")
    (tmp_path / "nul.py").write_bytes(b"\x00")
    (tmp_path / "broken.py").write_text("x = 1\ndef (:")
    (tmp_path / "deep.py").write_text("-" * 100_000 + "1")
    (tmp_path / "empty.py").touch()
    os.mkfifo(tmp_path / "pipe.py")
    with (tmp_path / "huge.py").open("wb") as stream:
        stream.truncate((4 << 20) + 1)
    names = ("not_utf8", "nul", "broken", "deep", "empty", "pipe", "huge", "gone")
    found = load_modules([*(str(tmp_path / f"{name}.py") for name in names), str(tmp_path)])
    unread = [module.unread for module in found.values()]
    reasons = [f"line {each.line}: {each.reason}" if each else "" for each in unread]
    for reason, expected in zip(
        reasons,
        (
            "line 1: ",
            "",
            "line 2: ",
            "",
            "",
            "line 1: it is no regular file",
            "line 1: it is larger than 4 MiB",
            "line 1: it cannot be opened: No such",
        ),
        strict=False,
    ):
        assert reason.startswith(expected)
    assert [bool(reason) for reason in reasons] == [name != "empty" for name in (*names, "")]


@pytest.mark.usefixtures("in_processes")
def test_other_processes_find_the_same(tmp_path: Path) -> None:
    """The order is that of the paths, the facts are those of one process, and each file that is parsed is told."""
    files = [*_files(tmp_path), str(tmp_path / "gone.py"), os.fsdecode(os.fsencode(tmp_path) + b"/\xff.py")]
    Path(files[-1]).write_text("import os")
    steps: list[tuple[int, int]] = []
    wanted = Wanted(frozenset({"real_services"}), parts=True)
    found = load_modules(files, wanted=wanted, progress=lambda done, total: steps.append((done, total)))
    assert list(found) == files
    assert _decoded(found) == _decoded({file: parse_file(file, wanted) for file in files})
    parsed = range(len(files) - len(steps) + 1, len(files) + 1)
    assert len(steps) > len(files) // 2
    assert steps == [(number, len(files)) for number in parsed]


@pytest.mark.fault("malicious-conftest")
@pytest.mark.usefixtures("in_processes")
def test_nothing_beside_the_files_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules in the directory that we are in, or on its `PYTHONPATH`, are not taken for Python's own or ours."""
    for name in ("ast", "msgspec", "sitecustomize", "selectors", "conftest"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    files = [*_files(tmp_path), str(tmp_path / "conftest.py")]
    assert not any(module.unread for module in load_modules(files).values())
    assert not (tmp_path / "imported").exists()


def test_what_is_known_is_not_parsed(tmp_path: Path) -> None:
    """Neither a file that did not change, nor one of which the bytes are known; changed bytes are read."""
    (file,) = _files(tmp_path, 1)
    told = Module(unread=Unread("the cache says so"))
    with Cache(tmp_path / "cache.sqlite") as cache:
        cache.put(digest_of(Path(file).read_bytes()), workers.encode(told))
        assert load_modules([file], cache=cache)[file] == told
        Path(file).write_text("import changed")
        fresh = load_modules([file], cache=cache)[file]
        assert fresh == load_modules([file])[file]
        assert fresh.imports
    with Cache(tmp_path / "cache.sqlite") as cache:
        assert load_modules([file], cache=cache)[file] == fresh


def test_facts_without_the_wanted_parts_are_read_again(tmp_path: Path) -> None:
    """An audit keeps none; it needs no other facts than an impact, whose facts have them."""
    (file,) = _files(tmp_path, 1)
    with_parts = Wanted(parts=True)
    with Cache(tmp_path / "cache.sqlite") as cache:
        assert not load_modules([file], cache=cache)[file].parts
        assert list(decode(load_modules([file], wanted=with_parts, cache=cache)[file].parts).parts) == ["test_0", TOP]
        Path(file).touch()
        assert load_modules([file], cache=cache)[file].parts


def test_facts_that_cannot_be_decoded_are_read_again(tmp_path: Path) -> None:
    """Whatever is in the cache, the answer is right."""
    (file,) = _files(tmp_path, 1)
    with Cache(tmp_path / "cache.sqlite") as cache:
        cache.put(digest_of(Path(file).read_bytes()), b"\xc1")
        assert load_modules([file], cache=cache)[file] == load_modules([file])[file]


def test_of_a_file_that_did_not_change_the_head_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its facts are there when they are asked for, also where the cache has lost them."""
    monkeypatch.setattr("envmatrix.analysis.source.cache._RACY_NS", 0)
    (file,) = _files(tmp_path, 1)
    with Cache(tmp_path / "cache.sqlite") as cache:
        (module,) = load_changes([file], cache=cache).values()
        assert isinstance(module, Module)
        assert load_changes([file], cache=cache) == {file: Head.of(module)}
        assert load_modules([file], cache=cache)[file] == module
    with sqlite3.connect(tmp_path / "cache.sqlite") as connection:
        connection.execute("DELETE FROM facts")
    connection.close()
    with Cache(tmp_path / "cache.sqlite") as cache:
        assert load_modules([file], cache=cache)[file] == module
        assert cache.get(module.digest) is not None


@pytest.mark.usefixtures("in_processes")
def test_a_file_that_ends_the_process_is_unread_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of its chunk are tried one by one; its facts are not kept."""
    _in_child(monkeypatch, "os._exit(1)")
    files = _files(tmp_path)
    Path(files[4]).write_text("fatal")
    with Cache(tmp_path / "cache.sqlite") as cache:
        found = load_modules(files, cache=cache)
        assert cache.get(digest_of(b"fatal")) is None
    assert [file for file in files if found[file].unread] == [files[4]]
    assert found[files[4]].unread.reason == "it ended the process that read it"


def test_a_worker_that_takes_for_ever_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its deadline it counts as one that died."""
    _in_child(monkeypatch, "time.sleep(600)")
    (tmp_path / "test_a.py").write_text("fatal")
    worker = workers.Worker(workers.encode([]))
    monkeypatch.setattr(workers, "_DEADLINE_S", 0.1)
    assert not worker.ask(workers.encode([bytes(tmp_path / "test_a.py")]))
    assert worker.process.wait(timeout=30) < 0
    worker.close()


def _in_child(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Have the processes do something when they read the word `fatal`."""
    monkeypatch.setattr(
        workers,
        "_START",
        "import sys; sys.path += sys.argv[1:]; import os, time; from envmatrix.analysis.source import parse_file, workers\n"
        "parse = parse_file.parse\n"
        f"parse_file.parse = lambda source, wanted: {what} if source == b'fatal' else parse(source, wanted)\n"
        "workers.work()",
    )


@pytest.mark.parametrize("executable", ["/nowhere/python", "/bin/false"])
@pytest.mark.usefixtures("in_processes")
def test_without_processes_files_are_read_here(
    executable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none can be started, or none gets as far as importing us, nothing is lost but time."""
    monkeypatch.setattr(sys, "executable", executable)
    assert not any(module.unread for module in load_modules(_files(tmp_path)).values())


def test_no_process_is_left_when_reading_is_interrupted(tmp_path: Path) -> None:
    """As by Ctrl-C: they are ended at once, and waited for."""
    answers = workers.parse_in_processes(((file, 1 << 20) for file in _files(tmp_path)), FIXTURES_AND_TESTS, 2)
    next(answers)
    children = psutil.Process().children()
    assert children
    answers.close()
    assert not [child for child in children if child.is_running()]


def test_a_worker_ends_with_its_parent() -> None:
    """When its standard input ends, so does it."""
    worker = workers.Worker(workers.encode([]))
    worker.requests.close()
    assert worker.process.wait(timeout=30) == 0
    worker.close()
