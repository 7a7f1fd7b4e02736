"""A file that somebody wrote is small, regular and well-formed, or one clear error, at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import envmatrix
from envmatrix.exceptions import DeclarationError
from envmatrix.safety.input_files import parse_toml, read_bytes, read_json, read_text

MANY = 200_000


def refusal(read: Callable[[], object]) -> str:
    """Return what is wrong with a file, without its name."""
    with pytest.raises(DeclarationError) as caught:
        read()
    assert "\n" not in str(caught.value)
    return caught.value.what


@pytest.mark.fault("huge-file")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_refused(device: str) -> None:
    """A device may have no end, or never begin."""
    assert refusal(lambda: read_bytes(Path(device))).startswith("cannot be read: ")


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    """Nobody writes to it: reading would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    assert refusal(lambda: read_text(tmp_path / "pipe")) == "cannot be read: it is a pipe or a device"


@pytest.mark.fault("huge-file", "not-utf8", "empty-file")
def test_what_is_no_small_text_is_refused(tmp_path: Path) -> None:
    """A directory, a missing, a huge and a binary file, and a name that no file has; an empty one is an empty text."""
    file = tmp_path / "file"
    file.touch()
    assert read_text(file) == ""
    assert refusal(lambda: read_text(tmp_path)) == "cannot be read: Is a directory"
    assert refusal(lambda: read_text(tmp_path / "none")) == "cannot be read: No such file or directory"
    assert refusal(lambda: read_text(Path("a\0b"))) == "cannot be read: its name has a NUL byte"
    file.write_bytes(b"ok\n\xff")
    assert refusal(lambda: read_text(file)) == "is not UTF-8"
    os.truncate(file, 1 << 40)
    assert refusal(lambda: read_text(file)) == "is larger than 1 MiB"


@pytest.mark.fault("binary-toml")
@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a = " + "[" * MANY, "is nested too deeply to be read"),
        ("a = " + "{a = " * MANY, "is nested too deeply to be read"),
        ("a = " + "1" * 5_000, "has a number that is too long"),
        ("a." * MANY + "a = 1", "has a key of more than 200 parts"),
        ("[" + "a." * MANY + "a]", "has a key of more than 200 parts"),
        ("a = {" + "a." * MANY + "a = 1}", "has a key of more than 200 parts"),
        ("\0", "is not TOML"),
        ("a = 1\na = 2", "is not TOML"),
    ],
    ids=lambda text: text[:12],
)
def test_toml_that_breaks_its_parser_is_refused(text: str, what: str) -> None:
    """Nesting, digits and dots without end are an error, at once."""
    assert refusal(lambda: parse_toml(Path("a.toml"), text)).startswith(what)


def test_dots_in_values_are_no_parts_of_a_key() -> None:
    """A list of numbers, a long text and a comment may have as many as they like."""
    numbers = ", ".join(["1.5"] * 300)
    text = f'numbers = [{numbers}]\ntext = "{"a." * 300}"\nother = \'{"a." * 300}\' # {"a. " * 300}"'
    assert len(parse_toml(Path("a.toml"), text)["numbers"]) == 300


@pytest.mark.parametrize(
    ("text", "what"), [("[" * MANY, "is nested"), ("1" * 5_000, "is not JSON"), ("", "is not JSON")]
)
def test_json_that_breaks_its_parser_is_refused(tmp_path: Path, text: str, what: str) -> None:
    """Nesting and digits without end are an error, and so is nothing."""
    (tmp_path / "a.json").write_text(text)
    assert refusal(lambda: read_json(tmp_path / "a.json")).startswith(what)


@given(st.text() | st.binary().map(lambda content: content.decode("latin-1")))
def test_any_text_is_toml_or_one_error(text: str) -> None:
    """Nothing else comes out of the parser."""
    try:
        parse_toml(Path("a.toml"), text)
    except DeclarationError as error:
        assert error.what  # noqa: PT017  either is right


@pytest.mark.fault("unsafe-xml")
def test_nothing_that_runs_what_it_reads_is_imported() -> None:
    """No XML, no pickle and no shelve is read anywhere, and YAML by its safe loader: nothing runs, and no entity is expanded."""
    package = Path(envmatrix.__file__).parent
    parsers = re.compile(
        r"^\s*(?:from|import) (?:xml(?!\.sax\.saxutils\b|\.etree\.ElementTree import (?:(?:Element|SubElement|indent|tostring)(?:, |$))+$)"
        r"|lxml|pickle|marshal|shelve|dill)\b|\byaml\.(?!safe_load\(|YAMLError\b)|from yaml\b",
        re.MULTILINE,
    )
    assert [path.name for path in package.rglob("*.py") if parsers.search(path.read_text(encoding="utf-8"))] == []
