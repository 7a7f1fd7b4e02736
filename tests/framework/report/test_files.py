"""Writing reports: all files or none."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from envmatrix.exceptions import UsageError
from envmatrix.report.files import check_place, write_files


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    """Nothing else is left; a text that UTF-8 cannot hold is escaped, and directories are made that are asked for."""
    path, below = tmp_path / "one", tmp_path / "new/below/two"
    path.write_text("old")
    write_files({path: "é\udc80", below: "2"}, [below.parent])
    assert path.read_text() == "é\\udc80"
    assert below.read_text() == "2"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["new", "one"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    """The file behind it is replaced."""
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_files({tmp_path / "link": "new"})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """As is a device: none is replaced by a file, whoever runs us."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        write_files({pipe: "text"})
        assert reader.communicate(timeout=10)[0] == "text"
    assert pipe.is_fifo()


def test_what_cannot_be_written_leaves_all_as_it_was(tmp_path: Path) -> None:
    """One line names the file; the one before it is not replaced."""
    good = tmp_path / "good"
    good.write_text("old")
    with pytest.raises(UsageError, match=r"gone/new cannot be written: No such file or directory$"):
        write_files({good: "new", tmp_path / "gone/new": "new"})
    with pytest.raises(UsageError, match=r" cannot be written: Is a directory$"):
        write_files({good: "new", tmp_path: "new"})
    with pytest.raises(UsageError, match=r"good cannot be written: File exists$"):
        write_files({good: "new"}, [good])
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("good", "old")]


@pytest.mark.fault("disk-full")
def test_a_full_disk_keeps_every_good_file(tmp_path: Path) -> None:
    """The second file does not fit: the first one is as it was, too, and nothing is left of the attempt."""
    names = ("first", "second")
    for name in names:
        (tmp_path / name).write_text("old")
    program = (
        "import resource, sys; from pathlib import Path; from envmatrix.report.files import write_files\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, {resource.RLIM_INFINITY}))\n"
        "write_files({Path('first'): 'new', Path('second'): 'x' * 50_000})"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "UsageError: second cannot be written: File too large" in done.stderr
    assert sorted((each.name, each.read_text()) for each in tmp_path.iterdir()) == [(name, "old") for name in names]


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Before a run, rather than after it."""
    check_place(None)
    check_place(tmp_path / "a.html")
    with pytest.raises(UsageError, match="no directory"):
        check_place(tmp_path / "b" / "a.html")
