"""From declarations to the files that services begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from envmatrix.analysis.impact.declarations import CommandFiles, read_environments

PYTHON = ("shop/__init__.py", "shop/__main__.py", "src/app.py", "run.py", "cli.py")


def files(root: Path) -> CommandFiles:
    """A project of these files, whose `src` is importable and whose command `shopd` runs `cli.py`."""
    return CommandFiles(root, PYTHON, lambda _, name: "src/app.py" if name == "app" else None, {"shopd": "cli.py"})


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ('["{python}", "-m", "shop"]', ("shop/__init__.py", "shop/__main__.py")),
        ('["uvicorn", "app:create", "--port", "{backend.port}"]', ("src/app.py",)),
        ('["{python}", "./run.py"]', ("run.py",)),
        ('["shopd", "--verbose"]', ("cli.py",)),
        ('["node", "server/main.js"]', ("server/main.js",)),
        ('["{python}", "-m", "${MODULE:-shop}"]', ("shop/__init__.py", "shop/__main__.py")),
        ('["{python}", "-m", "${MODULE}"]', ()),
        ('["docker", "run", "image:1"]', ()),
    ],
)
def test_a_command_names_files(tmp_path: Path, command: str, found: tuple[str, ...]) -> None:
    """Modules, paths, the project's own commands; what it does not show stays unknown."""
    (tmp_path / "server").mkdir()
    (tmp_path / "server/main.js").touch()
    declaration = f'[services.backend]\nkind = "http"\nsource = "process"\ncommand = {command}\n'
    (tmp_path / "local.toml").write_text(declaration)
    (place,) = read_environments(tmp_path, files(tmp_path), {})
    (start,) = place.starts
    assert (start.service, start.files, start.by) == ("backend", found, "local.toml")


def test_variables_decide_and_are_not_told(tmp_path: Path) -> None:
    """What fills a blank may be a secret: the command stays as it is written."""
    (tmp_path / "local.toml").write_text(
        '[services.backend]\nkind = "http"\nsource = "process"\ncommand = ["{python}", "-m", "${MODULE}", "${KEY}"]\n'
    )
    (place,) = read_environments(tmp_path, files(tmp_path), {"MODULE": "app", "KEY": "s3cret"})
    assert place.starts[0].files == ("src/app.py",)
    assert place.starts[0].command == "{python} -m ${MODULE} ${KEY}"


def test_a_module_that_the_environment_names_is_started_too(tmp_path: Path) -> None:
    """`APP = "app:create"` says what a server is to load."""
    (tmp_path / "local.toml").write_text(
        '[services.backend]\nkind = "http"\nsource = "process"\ncommand = ["gunicorn"]\nenv = { APP = "app:create" }\n'
    )
    (place,) = read_environments(tmp_path, files(tmp_path), {})
    assert place.starts[0].files == ("src/app.py",)


@pytest.mark.fault("binary-toml")
def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    """And the others are read all the same."""
    (tmp_path / "broken.toml").write_bytes(b"\xff\x00")
    (tmp_path / "fine.toml").write_text('[services.redis]\nkind = "redis"\nsource = "absent"\n')
    broken, fine = read_environments(tmp_path, files(tmp_path), {})
    assert "is not UTF-8" in broken.unread
    assert fine.references == {"redis": frozenset()}


def test_what_a_declaration_extends_is_a_part_of_it(tmp_path: Path) -> None:
    """A change there may change the environment, and its twin's; the file itself is no environment."""
    (tmp_path / "_base.toml").write_text('[services.redis]\nkind = "redis"\nsource = "absent"\n')
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin/twin.toml").write_text('extends = "../_base.toml"\n')
    (tmp_path / "local.toml").write_text(
        'extends = "_base.toml"\n[twin]\nenvironment = "twin/twin.toml"\nvariables = { A = "x" }\n'
    )
    (place,) = read_environments(tmp_path, files(tmp_path), {})
    assert place.files == ("local.toml", "_base.toml", "twin/twin.toml", "_base.toml")
