"""Lines of keys, which tomllib does not tell."""

from pathlib import Path

import pytest

from envmatrix.environments.toml_file import read_toml
from envmatrix.exceptions import DeclarationError

TEXT = """\
title = "x"
# [services.commented]
[services.backend]
kind = "http"
"quoted" = 1
env.NESTED = "a"
env = { INLINE = "b" }

  [services.backend.deep]
  key = 1

[[rows]]
cell = 1
[[rows]]
cell = 2
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("title",), 1),
        (("services", "backend"), 3),
        (("services", "backend", "kind"), 4),
        (("services", "backend", "quoted"), 5),
        (("services", "backend", "env", "NESTED"), 6),
        (("services", "backend", "deep", "key"), 10),
        (("rows",), 12),
        (("rows", "0", "cell"), 13),
        (("rows", "1", "cell"), 15),
        (("rows", "1", "missing"), 14),
        (("services", "backend", "missing"), 3),
        (("nowhere",), 0),
    ],
)
def test_a_key_is_found_on_its_line(tmp_path: Path, keys: tuple[str, ...], line: int) -> None:
    """The line of the key, else of the nearest table around it, else none."""
    path = tmp_path / "a.toml"
    path.write_text(TEXT.replace("env = {", "# env = {"))
    assert read_toml(path).line_of(keys) == line


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    """The operating system's reason is passed on."""
    with pytest.raises(DeclarationError) as caught:
        read_toml(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_count_the_same_with_either_newline(tmp_path: Path, newline: str) -> None:
    """Windows editors do not shift the lines."""
    path = tmp_path / "a.toml"
    path.write_bytes(TEXT.replace("env = {", "# env = {").replace("\n", newline).encode())
    assert read_toml(path).line_of(("services", "backend", "kind")) == 4
