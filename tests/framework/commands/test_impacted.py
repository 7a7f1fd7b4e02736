"""`envmatrix matrix --impacted-since`, on real runs of environments without services."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from envmatrix.__main__ import main
from envmatrix.commands import impacted
from envmatrix.environments.load import load_file
from envmatrix.runs.events import Attestation
from envmatrix.runs.file import read_run
from envmatrix.runs.outcomes import Outcome
from envmatrix.runs.ping import Ping, PingStatus
from tests.framework.bare import Bare, make_bare

SUITE = """
    import os, pytest

    @pytest.mark.parametrize("n", [1, 2])
    def test_numbers(n): assert n

    def test_red(): assert 0

    def test_skipped(): pytest.skip("not here")

    def test_hidden(): assert not os.path.exists("ignored")
    """


def git(root: Path, *words: str) -> str:
    """Call git."""
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose two environments were run at its only commit."""
    bare = make_bare(tmp_path_factory.mktemp("template"))
    bare.write("suite/test_it.py", "def test_it(): ...\n")
    bare.write("suite/test_more.py", SUITE)
    bare.write(".gitignore", "ignored\n__pycache__/\n")
    git(bare.root, "init", "-q")
    git(bare.root, "add", "-A")
    git(bare.root, "commit", "-qm", "all")
    assert bare.run("matrix", "--quiet").returncode == 1
    assert bare.run("impact", "--since", "HEAD").returncode == 0  # reads pytest's own source once for all tests
    return bare.root


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Bare:
    """A copy of it."""
    root = tmp_path / "copy"
    shutil.copytree(template, root, symlinks=True)
    return Bare(root)


def last(bare: Bare, name: str) -> Any:
    """The last run of an environment."""
    return read_run(bare.root / ".envmatrix/runs/latest" / f"{name}.jsonl")


def test_what_cannot_have_changed_is_taken_over(repository: Bare) -> None:
    """One test is run in each environment; the others are of the earlier commit, and every report says so."""
    commit = git(repository.root, "rev-parse", "HEAD")
    repository.write("suite/test_it.py", "def test_it(): assert 1\n\ndef test_new(): ...\n")
    done = repository.run("matrix", "--impacted-since", "HEAD", "--quiet")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"local: 2 of 7 tests are run, the others taken over from commit {commit[:12]}" in done.stderr
    run = last(repository, "local")
    assert run.complete
    assert {test for test, cell in run.cells.items() if not cell.reused_from} == {
        "suite/test_it.py::test_it",
        "suite/test_it.py::test_new",
    }
    assert run.reused == {
        commit: [
            "suite/test_a.py::test_a",
            "suite/test_more.py::test_numbers[1]",
            "suite/test_more.py::test_numbers[2]",
            "suite/test_more.py::test_red",
            "suite/test_more.py::test_skipped",
            "suite/test_more.py::test_hidden",
        ]
    }
    assert run.cells["suite/test_more.py::test_red"].outcome is Outcome.FAILED
    assert run.footer.deselected == 0
    assert f"not run now, but at {commit[:12]}" in done.stdout
    shown = repository.run("show", "--json")
    cells = {test["id"]: test["cells"]["local"] for test in json.loads(shown.stdout)["tests"]}
    assert cells["suite/test_more.py::test_red"]["reused_from"] == commit
    assert cells["suite/test_it.py::test_it"]["reused_from"] is None
    gate = repository.run("gate")
    assert f"6 of 8 tests were not run now: they are of commit {commit[:12]}" in gate.stdout


def test_what_changes_nothing_starts_nothing(repository: Bare) -> None:
    """No pytest is started, and what is shown is all of the earlier commit."""
    repository.write("README.md", "words\n")
    done = repository.run("matrix", "--impacted-since", "HEAD", "--quiet")
    assert done.returncode == 1
    assert not list((repository.root / ".envmatrix/runs/latest").glob("*.log"))
    run = last(repository, "local")
    assert len(run.cells) == 7
    assert all(cell.reused_from for cell in run.cells.values())
    refused = repository.run("baseline", "update")
    assert refused.returncode == 2
    assert "no baseline can be made: local: 7 of 7 tests were not run now" in refused.stderr
    merged = repository.run("merge", ".envmatrix/runs/latest", "--output", "merged")
    assert merged.returncode == 1
    assert len(read_run(repository.root / "merged/local.jsonl").reused) == 1


def test_without_a_run_of_that_commit_all_is_run(repository: Bare) -> None:
    """And why is said, environment by environment; the history is as good as the files of the run."""
    shutil.rmtree(repository.root / ".envmatrix/runs")
    repository.write("suite/test_it.py", "def test_it(): assert 1\n")
    done = repository.run("matrix", "local", "--impacted-since", "HEAD", "--quiet")
    assert "local: 1 of 6 tests are run" in done.stderr
    assert len(last(repository, "local").reused) == 1
    shutil.rmtree(repository.root / ".envmatrix/runs")
    (repository.root / ".envmatrix/history.sqlite").unlink()
    done = repository.run("matrix", "local", "--impacted-since", "HEAD", "--quiet")
    assert "local: all 6 tests are run: no whole run of commit" in done.stderr
    assert last(repository, "local").reused == {}


class _Health(BaseHTTPRequestHandler):
    """Says which commit is deployed."""

    port = 0
    commit: str | None = "one"
    image = "sha256:1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer as a healthy service."""
        body = json.dumps(
            {"service": "backend"} | ({"commit": self.commit, "image": self.image} if self.commit else {})
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def deployment() -> Iterator[type[_Health]]:
    """A remote service, which can be deployed anew."""
    _Health.commit = "one"
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Health)
    _Health.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield _Health
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("source", ["compose", "container"])
def test_what_runs_in_a_container_is_never_reused(template: Path, source: str) -> None:
    """An image may have been made anew under the same name."""
    path = template.parent / f"{source}.toml"
    keys = 'image = "shop"\nport = 80' if source == "container" else ""
    path.write_text(f'[services.backend]\nkind = "http"\nsource = "{source}"\n{keys}\n')
    run = read_run(template / ".envmatrix/runs/latest/local.jsonl")
    why = impacted._difference_of_remote(load_file(path, {}), run)
    assert why == "backend runs in a container, and which image it is made of now is not known"


def test_a_remote_environment_is_reused_while_its_deployment_is_the_same(
    template: Path, deployment: type[_Health], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code is not ours to read: where it attests another commit, or none, every test is run.

    The functions are called in this process; no pytest is started but by the tests of the whole command.
    """
    declaration = f'[services.backend]\nkind = "http"\nsource = "remote"\nurl = "http://127.0.0.1:{deployment.port}"\n'
    path = template.parent / "remote.toml"
    path.write_text(declaration)
    environment = load_file(path, {})
    run = read_run(template / ".envmatrix/runs/latest/local.jsonl")
    assert impacted._difference_of_remote(environment, run) == (
        f"backend is remote, and its version and commit at commit {run.header.commit[:12]} are not known"
    )
    ping = Ping(
        service="backend", status=PingStatus.UP, version="backend", identity={"commit": "one", "image": "sha256:1"}
    )
    run = replace(run, attestations=(Attestation(moment="after", services={"backend": ping}),))
    assert impacted._difference_of_remote(environment, run) == ""
    monkeypatch.setattr(deployment, "image", "sha256:2")
    assert impacted._difference_of_remote(environment, run).endswith("now it is commit one, image sha256:2")
    deployment.commit = "two"
    assert impacted._difference_of_remote(environment, run) == (
        "backend is remote, and was commit one, image sha256:1 then; now it is commit two, image sha256:2"
    )
    deployment.commit = None
    assert impacted._difference_of_remote(environment, run).endswith("now it is of a version that is not known")


@pytest.mark.fault("mid-run-redeploy")
def test_cells_of_a_mixed_run_are_not_reused(template: Path) -> None:
    """They are of two versions."""
    run = read_run(template / ".envmatrix/runs/latest/local.jsonl")
    environment = load_file(template / "environments/local.toml", {})
    assert impacted._difference(environment, run) == ""
    assert run.footer is not None
    run = replace(run, footer=structs.replace(run.footer, changed=("suite/test_a.py",)))
    assert impacted._difference(environment, run).endswith("is mixed: under it, suite/test_a.py changed")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--impacted-since", "nowhere"], "git knows no revision 'nowhere'"),
        (["--impacted-since", "HEAD", "--shard", "1/2"], "--impacted-since and --shard exclude each other"),
        (["--impacted-since", "HEAD", "--", "-k", "it"], "chooses the tests, and so does '-k'"),
        (["--impacted-since", "HEAD", "--", "suite/test_it.py"], "chooses the tests, and so does"),
    ],
)
def test_two_choices_exclude_each_other(
    template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """Exit 2, before anything is run."""
    monkeypatch.chdir(template)
    with pytest.raises(SystemExit) as ended:
        main(["matrix", *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
