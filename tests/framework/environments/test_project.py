"""The project's own table."""

from pathlib import Path

import pytest

from envmatrix.environments import Project
from envmatrix.exceptions import DeclarationError, UnknownKeyError


def write(directory: Path, text: str) -> Path:
    """Write a pyproject.toml."""
    path = directory / "pyproject.toml"
    path.write_text(text)
    return path


def test_the_nearest_pyproject_above_counts(tmp_path: Path) -> None:
    """Found from a directory below; paths are relative to the file's own."""
    write(tmp_path, "[tool.envmatrix]\nenvironments = 'envs'\nsuites = ['tests']\ndeadline = 60\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    project = Project.find(below)
    assert project.root == tmp_path
    assert project.environments_dir == tmp_path / "envs"
    assert project.runs_dir == tmp_path / ".envmatrix/runs"
    assert (project.suites, project.deadline) == (("tests",), 60)


def test_a_project_without_the_table_gets_the_defaults(tmp_path: Path) -> None:
    """A pyproject.toml of somebody else's tools is a project too."""
    write(tmp_path, "[tool.black]\nline-length = 99\n")
    assert Project.find(tmp_path).environments_dir == tmp_path / "environments"


@pytest.mark.fault("unknown-key")
def test_an_unknown_key_is_refused_with_its_line(tmp_path: Path) -> None:
    """File, line and the nearest key."""
    path = write(tmp_path, "[tool.envmatrix]\nsuites = []\nenvironmets = 'x'\n")
    with pytest.raises(UnknownKeyError) as caught:
        Project.find(tmp_path)
    assert str(caught.value) == (f"{path}:3: unknown key 'environmets' in tool.envmatrix. Did you mean 'environments'?")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.envmatrix]\nsuites = 3\n", ':2: tool.envmatrix.suites is a list. Write ["…"]'),
        (
            "[tool.envmatrix.gate]\nallowed = 'skipped'\n",
            ':2: tool.envmatrix.gate.allowed is a list, also of one. Write ["skipped"]',
        ),
        (
            "[tool.envmatrix.audit.per_file_ignores]\n'a/*' = 'EM101'\n",
            ':1: tool.envmatrix.audit.per_file_ignores.a/* is a list, also of one. Write ["EM101"]',
        ),
        ("[tool.envmatrix]\ndeadline = 0\n", ":2: tool.envmatrix.deadline: Input should be greater than 0"),
        ("[tool]\nenvmatrix = 3\n", ":2: tool.envmatrix is a table"),
        ("tool = 3\n", None),
        ("[tool.envmatrix\n", ":1: is not TOML: Expected ']' at the end of a table declaration"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path: Path, text: str, message: str | None) -> None:
    """File, line, key and what is wrong; a `tool` that is no table is none of ours."""
    path = write(tmp_path, text)
    if message is None:
        assert Project.find(tmp_path).root == tmp_path
        return
    with pytest.raises(DeclarationError) as caught:
        Project.find(tmp_path)
    assert str(caught.value) == f"{path}{message}"


def test_root_is_nobodys_to_set(tmp_path: Path) -> None:
    """The root is where the file stands."""
    write(tmp_path, "[tool.envmatrix]\nroot = '/'\n")
    with pytest.raises(UnknownKeyError):
        Project.find(tmp_path)


def test_a_kind_of_ours_stays_ours(tmp_path: Path) -> None:
    """A project's own kind has a name of its own, and a driver of the form module:NAME."""
    write(tmp_path, "[tool.envmatrix.kinds]\nmqtt = 'kinds:KIND'\npostgres = 'kinds:KIND'\n")
    with pytest.raises(DeclarationError, match=r":1: tool.envmatrix.kinds: 'postgres' is a kind of ours"):
        Project.find(tmp_path)
    write(tmp_path, "[tool.envmatrix.kinds]\nmqtt = 'kinds'\n")
    with pytest.raises(DeclarationError, match=r":2: tool.envmatrix.kinds.mqtt: String should match pattern"):
        Project.find(tmp_path)
