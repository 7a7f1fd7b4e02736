"""`envmatrix report`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envmatrix.__main__ import main
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.page.chunks import chunks
from tests.framework.run_files import write_run

ALL = ("--ctrf=c.json", "--junit=junit", "--svg=m.svg", "--badges=badges", "--agent=agent")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of two runs, one of them red, somewhere without a project."""
    monkeypatch.chdir(tmp_path)
    wrong = Attempt("a.py::x", Outcome.FAILED, cause=Cause.LOGIC, evidence=Evidence("L401", "boom"))
    (tmp_path / "runs").mkdir()
    write_run(tmp_path / "runs/local.jsonl", wrong)
    write_run(tmp_path / "runs/staging.jsonl", Attempt("a.py::x", Outcome.PASSED), environment="staging")
    return tmp_path / "runs"


def report(*words: str) -> int | str | None:
    """Call the command; return the exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["report", *words])
    return ended.value.code


def written(directory: Path) -> list[str]:
    """The files that are there beside the runs."""
    paths = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if path.parts[0] != "runs")


def test_every_format_is_written_at_once(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The exit code is 0, since the gate decides; each place is named."""
    assert report("runs", *ALL) == 0
    assert written(runs.parent) == [
        *("agent/failure-0001.md", "agent/index.md", "agent/manifest.jsonl"),
        *("badges/local.json", "badges/local.svg", "badges/staging.json", "badges/staging.svg"),
        *("c.json", "junit/local.xml", "junit/staging.xml", "m.svg"),
    ]
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "CTRF: c.json\nJUnit: junit\nSVG: m.svg\nBadges: badges\nFor an assistant: agent\n"


def test_pages_of_an_earlier_run_are_removed(runs: Path) -> None:
    """An assistant would take them for failures of this one; other files stay."""
    assert report("runs", "--agent=agent") == 0
    for name in ("failure-0002.md", "failure-mine.md"):
        (runs.parent / "agent" / name).write_text("")
    assert report("runs/staging.jsonl", "--agent=agent") == 0
    assert written(runs.parent) == ["agent/failure-mine.md", "agent/index.md", "agent/manifest.jsonl"]


def test_ctrf_of_each_environment(runs: Path) -> None:
    """Where the name has a place for the environment's."""
    assert report("runs", "--ctrf=ctrf-{environment}.json") == 0
    assert written(runs.parent) == ["ctrf-local.json", "ctrf-staging.json"]
    document = json.loads((runs.parent / "ctrf-local.json").read_text())
    assert document["results"]["environment"]["testEnvironment"] == "local"


def test_nothing_to_write_is_a_usage_error(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As is a place that is none; nothing is written then."""
    assert report("runs") == 2
    assert capfd.readouterr().err.startswith("error: no format to write. Name one: --html FILE, --ctrf FILE")
    assert report("runs", "--svg=m.svg", "--ctrf=gone/c.json") == 2
    assert capfd.readouterr().err == "error: gone/c.json cannot be written: No such file or directory\n"
    assert written(runs.parent) == []


@pytest.mark.fault("missing-shard")
@pytest.mark.fault("half-written-jsonl")
def test_what_is_missing_or_cut_short_is_reported(runs: Path) -> None:
    """An environment without a run is in every format, and so is a run that was killed."""
    path = runs / "staging.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    environments = {name: {"label": name, "note": ""} for name in ("local", "staging", "lost")}
    (runs / "matrix.json").write_text(json.dumps({"schema": 1, "environments": environments}))
    assert report("runs", *ALL) == 0
    here = runs.parent
    assert '<error type="unknown" message="left no run file">' in (here / "junit/lost.xml").read_text()
    assert '<error type="unknown"' in (here / "junit/staging.xml").read_text()
    assert json.loads((here / "badges/lost.json").read_text())["message"] == "unknown: no run"
    assert "no run" in (here / "m.svg").read_text()
    assert "`lost`: **unknown**" in (here / "agent/index.md").read_text()


@pytest.mark.fault("name-as-path")
def test_a_name_from_a_file_leads_nowhere_else(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An environment that calls itself a path is refused before anything is written."""
    path = runs / "local.jsonl"
    path.write_text(path.read_text().replace('"environment":"local"', '"environment":"../../evil"'))
    assert report("runs", *ALL) == 2
    assert "'../../evil' is no name of an environment" in capfd.readouterr().err
    assert written(runs.parent) == []


@pytest.mark.fault("canary-secret")
@pytest.mark.parametrize("formats", [("--html=m.html",), ("--html=m.html", *ALL)])
def test_a_secret_of_this_process_is_told_nowhere(
    runs: Path, monkeypatch: pytest.MonkeyPatch, formats: tuple[str, ...]
) -> None:
    """A run file from elsewhere holds what is a secret here."""
    secret = "canary-4cd1e90b"
    monkeypatch.setenv("DEPLOY_TOKEN", secret)
    evidence = Evidence("L401", f"{secret} is wrong", detail=secret)
    (runs / "local.jsonl").unlink()
    write_run(runs / "local.jsonl", Attempt("a.py::x", Outcome.FAILED, cause=Cause.LOGIC, evidence=evidence))
    assert report("runs", *formats) == 0
    texts = {name: (runs.parent / name).read_text() for name in written(runs.parent)}
    texts["m.html"] = repr(chunks(texts["m.html"]))
    assert [name for name, text in texts.items() if secret in text] == []
    assert all("********** is wrong" in texts[name] for name in {"m.html", "c.json"} & texts.keys())


@pytest.mark.fault("mixed-commits")
def test_runs_of_several_commits_are_refused_unless_asked_for(runs: Path) -> None:
    """As `envmatrix show` does."""
    (runs / "staging.jsonl").unlink()
    write_run(runs / "staging.jsonl", Attempt("a.py::x", Outcome.PASSED), environment="staging", commit="d" * 40)
    assert report("runs", "--svg=m.svg") == 2
    assert report("runs", "--svg=m.svg", "--mixed-commits") == 0
