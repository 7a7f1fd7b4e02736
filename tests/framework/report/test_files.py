"""A report's file: all of it or nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from envmatrix.exceptions import UsageError
from envmatrix.report.files import check_place, write_report

PROGRAM = """
import pathlib, resource, sys
from envmatrix.exceptions import UsageError
from envmatrix.report.files import write_report
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    write_report(pathlib.Path(sys.argv[1]), "x" * 5000)
except UsageError as error:
    print(error)
"""


@pytest.mark.fault("disk-full")
def test_a_full_disk_keeps_the_last_good_report(tmp_path: Path) -> None:
    """And leaves nothing beside it; a limit of the file's size stands for the disk."""
    path = tmp_path / "matrix.html"
    write_report(path, "good")
    ended = subprocess.run([sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, check=True)
    assert ended.stdout == f"{path} cannot be written: File too large. Name another file\n"
    assert path.read_text() == "good"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Before a run as after it."""
    check_place(None)
    check_place(tmp_path / "a.html")
    with pytest.raises(UsageError, match="no directory"):
        check_place(tmp_path / "b" / "a.html")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(tmp_path / "file" / "a.html", "")
