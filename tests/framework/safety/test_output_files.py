"""Files are written whole or not at all."""

from pathlib import Path

import pytest

from envmatrix.safety.output_files import replacing


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """Who reads meanwhile sees all of the old one."""
    path = tmp_path / ("n" * 255)
    path.write_text("old")
    with replacing(path) as fresh:
        fresh.write_text("new")
        assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "new"


@pytest.mark.fault("disk-full")
def test_what_is_given_up_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """Half a file never takes its place."""
    path = tmp_path / "file"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as fresh:
            fresh.write_text("ne")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_half()
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"
