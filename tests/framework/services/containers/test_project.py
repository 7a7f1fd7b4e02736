"""The engine and the compose command are the first that answer; what does not answer is told with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from envmatrix.environments import Compose
from envmatrix.services.containers.commands import CommandError, Commands
from envmatrix.services.containers.engine import Engine, find_engine
from envmatrix.services.containers.project import Project


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is all of PATH: whatever stands in it are the only programs."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr("sys.executable", str(path / "python"))
    return path


def program(path: Path, name: str, script: str) -> None:
    """Put a program there that stands for one of an engine, as far as `version` goes."""
    (path / name).write_text(f"#!/bin/sh\n{script}\n")
    (path / name).chmod(0o755)


def commands(programs: Path) -> Commands:
    """What runs them."""
    return Commands(programs, {"PATH": str(programs)})


def test_the_first_engine_that_answers_is_used(programs: Path) -> None:
    """Docker without its daemon is none; an engine that is asked for by name is never replaced by another."""
    program(programs, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    program(programs, "podman", "exit 0")
    assert find_engine(None, commands(programs)).name == "podman"
    with pytest.raises(
        CommandError, match="docker version ended with exit code 1: Cannot connect to the Docker daemon"
    ):
        find_engine("docker", commands(programs))


def test_without_any_engine_both_are_named(programs: Path) -> None:
    """The error says what could be installed."""
    with pytest.raises(CommandError, match="is needed: docker is not installed; podman is not installed"):
        find_engine(None, commands(programs))


@pytest.mark.parametrize(
    ("engine", "name", "script", "words", "is_podman_compose"),
    [
        ("docker", "docker", "echo Docker Compose version v2.40.0", ["docker", "compose"], False),
        ("docker", "docker-compose", "exit 0", ["docker-compose"], False),
        ("podman", "podman", "echo podman-compose version 1.6.0", ["podman", "compose"], True),
        ("podman", "podman-compose", "exit 0", ["podman-compose"], True),
    ],
)
def test_each_compose_command_is_found_and_known_by_its_version(
    programs: Path, engine: str, name: str, script: str, words: list[str], *, is_podman_compose: bool
) -> None:
    """Files and project are given to each call."""
    program(programs, name, script)
    settings = Compose(files=("a.yaml", "b.yaml"), project="shop")
    project = Project.find(settings, Engine(engine, commands(programs)), commands(programs))
    options = ("--file", "a.yaml", "--file", "b.yaml", "--project-name", "shop")
    assert project.words == (str(programs / words[0]), *words[1:], *options)
    assert project.is_podman_compose is is_podman_compose


def test_without_a_compose_command_each_is_told_with_its_reason(programs: Path) -> None:
    """Podman before 4.7 has no `compose` of its own."""
    program(programs, "podman", "echo 'Error: unrecognized command `podman compose`' >&2; exit 125")
    with pytest.raises(CommandError, match=r"exit code 125: Error: unrecognized .*; podman-compose is not installed"):
        Project.find(Compose(), Engine("podman", commands(programs)), commands(programs))
