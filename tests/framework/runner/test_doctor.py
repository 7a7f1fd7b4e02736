"""What `envmatrix doctor` finds on a machine, and whom it matters for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from envmatrix.__main__ import main
from tests.framework.bare import Bare

PROCESS = '[services.web]\nkind = "http"\nsource = "process"\ncommand = ["{python}", "-m", "http.server"]\n'


@pytest.fixture
def look(bare: Bare, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs the command: its exit code and what it printed."""
    shutil.rmtree(bare.root / "environments")
    for name in ("VIRTUAL_ENV", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def call(*words: str) -> tuple[int, str]:
        with chdir(bare.root), pytest.raises(SystemExit) as exit_:
            main(("doctor", *words))
        return int(exit_.value.code or 0), capsys.readouterr().out

    return call


def findings(text: str) -> dict[str, list[str]]:
    """Return the message of each finding, with its environments."""
    return {each["message"]: each["environments"] for each in json.loads(text)["checks"] if each["mend"]}


def test_a_machine_on_which_all_works_has_no_finding(bare: Bare, look) -> None:
    """The exit code is 0, and each thing that was looked at is a line."""
    bare.declare("one")
    code, out = look()
    assert code == 0, out
    assert out.endswith("Nothing stands in the way.\n")
    assert "fine     interpreter: Python 3." in out


def test_a_project_that_declares_nothing_is_told_how_to_begin(look) -> None:
    """It is a finding, with the command that mends it."""
    code, out = look()
    assert code == 1
    assert "  mend:    envmatrix init\n" in out


def test_a_finding_names_the_environments_that_it_matters_for(bare: Bare, look) -> None:
    """What several environments lack is one finding; one that can do without is not named."""
    bare.declare("one")
    for name in ("two", "three"):
        bare.write(f"environments/{name}.toml", PROCESS.replace("{python}", "no-such-program"))
    bare.write("environments/wrong.toml", "[services.web]\nkynd = 1\n")
    code, out = look("--json")
    found = findings(out)
    assert code == 1
    assert found.pop("service 'web' starts 'no-such-program', which is no program here") == ["three", "two"]
    assert list(found.values()) == [["wrong"]]


def test_a_temporary_directory_that_cannot_be_used_is_a_finding(
    bare: Bare, look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python quietly takes another one, on which nobody counts."""
    bare.declare("one")
    monkeypatch.setenv("TMPDIR", "/proc/self")
    monkeypatch.setattr("tempfile.tempdir", None)
    assert findings(look("--json")[1]) == {"/proc/self cannot be written to, and /tmp is used": ["one"]}


def test_a_machine_without_loopback_is_a_finding(bare: Bare) -> None:
    """In a network of its own, whose lo is down, a port can be bound and not be reached."""
    bare.write("environments/two.toml", PROCESS)
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespaces here")
    command = [*alone, sys.executable, "-m", "envmatrix", "doctor", "--json", "two"]
    ended = subprocess.run(command, cwd=bare.root, check=False, capture_output=True, text=True)
    found = [each for each in findings(ended.stdout) if "localhost" in each]
    assert found == ["nothing can listen and be reached at localhost: Network is unreachable"], ended.stderr


def test_what_a_run_needs_of_pytest_must_not_be_blocked(bare: Bare, look) -> None:
    """The plugins that addopts leaves out are looked for."""
    bare.declare("one")
    bare.write("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-p no:xdist"\n')
    assert findings(look("--json")[1]) == {"addopts has -p no:xdist, which a run needs": ["one"]}


def test_a_proxy_matters_where_a_service_runs_on_this_machine(
    bare: Bare, look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless NO_PROXY has 127.0.0.1."""
    bare.declare("one")
    bare.write("environments/two.toml", PROCESS)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    assert findings(look("--json")[1]) == {"http_proxy takes the requests to 127.0.0.1, too": ["two"]}
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    assert look()[0] == 0


@pytest.mark.fault("canary-secret")
def test_a_remote_service_that_is_down_is_a_finding_without_its_password(bare: Bare, look) -> None:
    """The ping's reason is shown, masked."""
    url = "redis://:k4nary-of-doctor@127.0.0.1:1/0"
    bare.write("environments/far.toml", f'[services.redis]\nkind = "redis"\nsource = "remote"\nurl = "{url}"\n')
    code, out = look()
    assert (code, "k4nary" in out) == (1, False)
    assert "FINDING  remote: redis is down: connection refused\n" in out
    assert "  matters: far\n" in out
    with (bare.root / "environments/far.toml").open("a") as declaration:
        declaration.write("required = false\n")
    assert "fine     remote: redis is down: connection refused, and not required\n" in look()[1]


@pytest.mark.fault("hostile-test-name")
def test_what_a_declaration_says_cannot_command_a_log(bare: Bare, look) -> None:
    """A program's name is shown escaped."""
    bare.write("environments/two.toml", PROCESS.replace("{python}", "\\u001b[31m::error::x"))
    code, out = look()
    assert (code, "\x1b" in out, "::error::" in out) == (1, False, False)
    assert "which is no program here" in out


def test_an_engine_that_does_not_answer_is_a_finding_of_who_needs_it(
    bare: Bare, look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one that answers will do, unless the environment asks for that one."""
    for name, script in {"docker": "echo no daemon here >&2; exit 1", "podman": "exit 0"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    bare.write("environments/any.toml", '[services.web]\nkind = "http"\nsource = "compose"\n')
    bare.write(
        "environments/docker.toml",
        '[compose]\nengine = "docker"\n[services.web]\nkind = "http"\nsource = "container"\nimage = "x"\nport = 80\n',
    )
    why = "a container engine is needed: docker version ended with exit code 1: no daemon here"
    assert findings(look("--json")[1]) == {why: ["docker"]}
