"""A declaration is changed where it must be, and nowhere else."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

import pytest
import tomlkit
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from envmatrix.environments import load_file
from envmatrix.environments.edit import ServiceEdit, diff, edited, rewrite
from envmatrix.environments.toml_file import TomlFile, read_toml
from envmatrix.exceptions import DeclarationError

REMOTE = ServiceEdit("redis", {"source": "remote"})
WHOLE = ServiceEdit("redis", {"source": "remote", "url": "${LOCAL_REDIS_URL:-}", "required": False})

DECLARED = """\
description = "x"  # one line

[services.redis]   # the cache
kind = "redis"
source   =   'absent'  # why: nobody needs it

# About the model.
[services.llm]
kind = "openai"
source = "absent"
"""


def changed(text: str, *changes: ServiceEdit) -> str:
    """The text of a declaration after some changes."""
    return edited(TomlFile(Path("local.toml"), tomllib.loads(text), text), changes)


def test_a_value_is_replaced_where_it_stands() -> None:
    """Its line keeps its spaces and its comment; no other line is touched."""
    assert changed(DECLARED, REMOTE) == DECLARED.replace("'absent'", '"remote"')


def test_new_keys_stand_at_the_end_of_their_table() -> None:
    """Before the comment that is about the next one."""
    expected = DECLARED.replace(
        "'absent'  # why: nobody needs it\n",
        '"remote"  # why: nobody needs it\nurl = "${LOCAL_REDIS_URL:-}"\nrequired = false\n',
    )
    assert changed(DECLARED, WHOLE) == expected


def test_a_table_that_is_not_there_is_added_at_the_end() -> None:
    """With all its keys, after an empty line."""
    change = ServiceEdit("a.b", {"kind": "http", "source": "remote"})
    assert changed("x = 1", change) == 'x = 1\n\n[services."a.b"]\nkind = "http"\nsource = "remote"\n'


def test_a_change_that_is_made_already_changes_nothing() -> None:
    """Twice is once."""
    once = changed(DECLARED, WHOLE)
    assert changed(once, WHOLE) == once
    assert changed(DECLARED) == DECLARED


@pytest.mark.parametrize(
    "text",
    [
        '[services]\nredis = { kind = "redis", source = "absent" }  # short\n[users]\nx = 1\n',
        'services.redis.kind = "redis"\nservices.redis.source = "absent"\nservices.a.kind = "http"\n',
        '[services]\nredis.kind = "redis"\nredis.source = "absent"\n\n[users]\nx = 1\n',
        '[services.redis]\nsource = "absent"\n\n  # who\n  [services.redis.identity]\n  a = "1"\n[services.b]\nk = 1\n',
        '[services.a]\nk = 1\n[users]\nx = 1\n[services.redis]\nsource = "absent"\n[twin]\ny = 1\n[services.c]\nk = 1\n',
        '[services.redis]\nsource = "absent"',
        '["services"."redis"]\n"source" = """absent"""\n# the end',
    ],
    ids=["inline", "dotted", "half dotted", "sub-table", "scattered", "no last newline", "quoted"],
)
@pytest.mark.parametrize("change", [REMOTE, WHOLE], ids=["one key", "new keys"])
def test_however_a_table_is_written_its_keys_alone_change(text: str, change: ServiceEdit) -> None:
    """Every other line stays, in its order; an empty one may join them."""
    after = changed(text, change)
    expected = tomllib.loads(text)
    expected["services"]["redis"] |= change.values
    assert tomllib.loads(after) == expected
    kept = [line for line in text.splitlines() if line and "source" not in line]
    assert [line for line in after.splitlines() if line in kept] == kept


def test_newlines_stay_what_they_are() -> None:
    """Who writes CRLF gets CRLF, in the new lines too."""
    after = changed(DECLARED.replace("\n", "\r\n"), WHOLE)
    assert after.replace("\r\n", "") == changed(DECLARED, WHOLE).replace("\n", "")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[services.redis]\nkind = "redis"\nsource = "${WHERE:-absent}"\n',
            "local.toml:3: services.redis.source is filled in from a variable: ${WHERE:-absent}. Set the variable instead",
        ),
        (
            'services = { a = { kind = "http" } }\n',
            "local.toml: is written so that we cannot change it. Write the lines by hand",
        ),
    ],
)
def test_what_cannot_be_changed_is_refused(text: str, line: str) -> None:
    """One line says where and why."""
    with pytest.raises(DeclarationError) as refused:
        changed(text, WHOLE)
    assert str(refused.value) == line


KEYS = st.text("ab_-.\"' é", min_size=1, max_size=4)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.lists(st.integers(0, 9), max_size=3),
    st.dictionaries(KEYS, st.text(max_size=4), max_size=2),
)
COMMENTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=10)


@st.composite
def declarations(draw: st.DrawFn) -> str:
    """A file with an absent redis among other tables, spaced and commented in whatever way."""
    blocks = []
    names = ["services.redis", *(f"services.s{number}" for number in range(draw(st.integers(0, 3)))), "users", "twin"]
    for name in draw(st.permutations(names)):
        lines = [f"{draw(st.sampled_from(['', '  ']))}[{name}]{draw(st.sampled_from(['', ' # c']))}"]
        table = draw(st.dictionaries(KEYS.filter(lambda key: key not in {"source", "url"}), VALUES, max_size=3))
        entries = [tomlkit.dumps({key: value}).strip() for key, value in table.items() if not isinstance(value, dict)]
        if name == "services.redis":
            source = draw(st.sampled_from(['source = "absent"', "source='absent'", '  source =\t"absent"  # why']))
            entries.insert(draw(st.integers(0, len(entries))), source)
        for entry in entries:
            lines += ["" for _ in range(draw(st.integers(0, 2)))]
            if draw(st.booleans()):
                lines.append(f"# {draw(COMMENTS)}")
            lines.append(entry)
        blocks.append("\n".join([*lines, *(draw(st.sampled_from([[], [""], ["# next", ""]])))]))
    text = "\n".join(blocks) + draw(st.sampled_from(["", "\n", "\n\n# end"]))
    return draw(st.sampled_from([text, text.replace("\n", "\r\n")]))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine proves nothing
@given(declarations(), st.sampled_from([REMOTE, WHOLE]))
def test_whatever_a_file_looks_like_only_the_keys_change(text: str, change: ServiceEdit) -> None:
    """The values differ in them alone; each other line is there, in its order, with its newline; twice is once."""
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assume(False)
    after = changed(text, change)
    before["services"]["redis"] |= change.values
    assert tomllib.loads(after) == before
    old, new = text.splitlines(keepends=True), after.splitlines(keepends=True)
    (place,) = (index for index, line in enumerate(old) if line.lstrip().startswith("source"))
    added = [line for line in new if line.lstrip().startswith(("url = ", "required = "))]
    rest = [line for line in new if line not in added]
    assert len(added) == len(change.values) - 1
    assert [line.rstrip("\r\n") for line in rest[:place]] == [line.rstrip("\r\n") for line in old[:place]]
    assert "".join(rest[place + 1 :]).strip() == "".join(old[place + 1 :]).strip()
    assert ("\r\n" in after) == ("\r\n" in text)
    assert changed(after, change) == after


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    """A declaration on disk, readable by its owner and group alone."""
    path = tmp_path / "local.toml"
    path.write_text(DECLARED)
    path.chmod(0o640)
    return path


def load(path: Path) -> object:
    """Load a declaration."""
    return load_file(path, {})


def test_a_file_is_rewritten_as_it_was(declared: Path) -> None:
    """New text, same mode, a link still a link, nothing beside it; what was read is in the diff."""
    link = declared.with_name("link.toml")
    link.symlink_to(declared.name)
    file = read_toml(link)
    text = edited(file, [REMOTE, ServiceEdit("redis", {"url": "redis://x"})])
    rewrite(file, text, load)
    assert declared.read_text() == text
    assert stat.S_IMODE(declared.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert {path.name for path in declared.parent.iterdir()} == {"link.toml", "local.toml"}
    shown = diff(file, text).splitlines()
    assert [line for line in shown if line[:1] == "+"][1:] == [
        '+source   =   "remote"  # why: nobody needs it',
        '+url = "redis://x"',
    ]


def refusal(file: TomlFile, text: str) -> str:
    """What a refused rewrite says; the file must be what it was, and alone."""
    before = file.path.read_bytes()
    with pytest.raises(DeclarationError) as refused:
        rewrite(file, text, load)
    assert file.path.read_bytes() == before
    assert len(list(file.path.parent.iterdir())) == 1
    return str(refused.value).removeprefix(str(file.path))


def test_a_file_that_changed_meanwhile_is_left_alone(declared: Path) -> None:
    """Somebody's editor was faster."""
    file = read_toml(declared)
    declared.write_text(f"{DECLARED}# mine\n")
    assert refusal(file, DECLARED) == ": was changed meanwhile. Run again"


def test_a_read_only_file_is_left_alone(declared: Path) -> None:
    """Also for root, who could."""
    declared.chmod(0o444)
    file = read_toml(declared)
    assert refusal(file, DECLARED) == ": is read-only. Make it writable, or write the lines by hand"


def test_a_change_that_would_be_wrong_is_not_made(declared: Path) -> None:
    """The new text is loaded before it takes the old one's place; the line is that of the new text."""
    file = read_toml(declared)
    said = refusal(file, edited(file, [REMOTE]))
    assert said == ":3: would be wrong: services.redis: source = 'remote' needs a url"


@pytest.mark.fault("disk-full")
def test_a_disk_that_is_full_keeps_the_old_file(declared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and nothing left of the attempt."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert refusal(read_toml(declared), DECLARED) == ": cannot be written: No space left on device"
