"""The story of a merge button: baseline, regression, waiver, expiry, fix; told through the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from envmatrix.__main__ import main
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Outcome
from tests.framework.bare import BARE_TOML, COMMAND, plain_environment
from tests.framework.commands.shop import Shop, shop
from tests.framework.run_files import write_run

__all__ = ["shop"]

WAIVER = """
# The shop's own bug.
[[waiver]]
test = "test_shop.py::test_total"
environment = "staging"
cause = "logic"
issue = "https://example.com/12"
owner = "shop team"
expires = {expires}
"""


@dataclass(frozen=True)
class Team:
    """A team with two environments, a repository and a merge button."""

    root: Path
    capture: pytest.CaptureFixture[str] | None = None

    def run(self, *words: str) -> tuple[int, str]:
        """Call the command line in this process; return its exit code and what it said."""
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert isinstance(ended.value.code, int)
        assert self.capture is not None
        said = self.capture.readouterr()
        return ended.value.code, said.out + said.err

    def git(self, *words: str) -> str:
        """Call git."""
        return subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout.strip()

    def matrix(self, *words: str) -> Path:
        """Run the matrix in a process of its own; return where its run files are."""
        command = [*COMMAND, "matrix", "-q", *words]
        env = plain_environment()
        subprocess.run(command, cwd=self.root, capture_output=True, timeout=120, check=False, env=env)
        return (self.root / ".envmatrix/runs/latest").resolve()

    def commit(self, total: str) -> str:
        """Commit a shop; return the commit."""
        (self.root / "test_shop.py").write_text(
            f"def test_open(matrix_name): pass\ndef test_total(matrix_name): assert {total}, matrix_name\n"
        )
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "shop", "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def gate(self, *words: str) -> dict[str, Any]:
        """Ask the gate; its exit code is checked against what it says."""
        code, said = self.run("gate", "--json", *words)
        decision: dict[str, Any] = json.loads(said)
        assert decision["exit_code"] == code
        return decision


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two environments without services, which tests can tell apart; one commit, at which every test passed in both."""
    team = Team(tmp_path_factory.mktemp("team"))
    for name in ("local", "staging"):
        path = team.root / "environments" / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(BARE_TOML)
    (team.root / "conftest.py").write_text(
        "import pytest\n@pytest.fixture\ndef matrix_name(request):\n"
        "    return request.config.getoption('--matrix-environment')\n"
    )
    (team.root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (team.root / ".gitignore").write_text(".envmatrix/\n__pycache__/\n")
    team.git("init", "-q")
    team.commit("True")
    team.matrix()
    return team.root


@pytest.fixture
def team(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Team:
    """A repository of one's own, as it was after that commit and its matrix."""
    team = Team(Path(shutil.copytree(good, tmp_path / "team", symlinks=True)), capsys)
    monkeypatch.chdir(team.root)
    return team


def reasons(decision: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """The reasons of one environment by their code."""
    (found,) = [entry for entry in decision["environments"] if entry["name"] == name]
    return {reason["code"]: reason for reason in found["reasons"]}


def test_the_gate_stops_what_got_worse_and_nothing_else(team: Team) -> None:
    """Baseline on main, regression in staging only, waiver, its last day, the fix: each step as the story tells it."""
    code, said = team.run("baseline", "update")
    assert code == 0, said
    assert team.gate()["gate"] == "open"

    commit = team.commit("matrix_name != 'staging'")
    team.matrix()
    decision = team.gate()
    assert decision["exit_code"] == 1
    assert reasons(decision, "local").keys() == {"passed"}
    assert reasons(decision, "staging")["logic"]["tests"] == ["test_shop.py::test_total"]
    _, said = team.run("gate")
    assert f"staging  incompatible  at {commit[:12]}" in said
    assert "test_shop.py::test_total  failed, logic L401: AssertionError: staging" in said
    assert team.run("gate", "--dry-run")[0] == 0

    waivers = team.root / "envmatrix-waivers.toml"
    today = datetime.now(UTC).date()
    waivers.write_text(WAIVER.format(expires=today + timedelta(days=7)))
    decision = team.gate()
    assert decision["gate"] == "open"
    assert "https://example.com/12 (shop team)" in reasons(decision, "staging")["waived"]["text"]

    waivers.write_text(WAIVER.format(expires=today - timedelta(days=1)))
    decision = team.gate()
    assert decision["exit_code"] == 1
    assert decision["overall"][0]["text"].startswith(f"expired on {today - timedelta(days=1)}: waiver of test_shop.py")

    waivers.write_text(WAIVER.format(expires=today + timedelta(days=7)))
    broken, commit = commit, team.commit("matrix_name")
    team.matrix()
    code, said = team.run("compare", broken, "last")
    assert code == 0, said
    assert "1 fixed" in said
    assert team.gate()["overall"][0]["text"].startswith("passes now, drop it: ")
    assert team.run("waivers", "update")[0] == 0
    assert "[[waiver]]" not in waivers.read_text()
    assert team.gate()["gate"] == "open"
    assert team.run("promote", "local", "staging")[0] == 0
    code, said = team.run("promote", "local", "staging", "--commit", "HEAD~1")
    assert code == 3
    assert f"of another commit: local was run at {commit[:12]}" in said


@pytest.mark.fault("missing-shard")
def test_the_gate_knows_what_a_lost_shard_hides(team: Team) -> None:
    """Cut into four, put together again: the regression shuts it; the good commit with one part lost is unknown."""

    def shards() -> list[str]:
        return [str(team.matrix("--shard", f"{number}/4")) for number in range(1, 5)]

    assert team.run("baseline", "update")[0] == 0
    team.commit("matrix_name != 'staging'")
    assert team.run("merge", *shards(), "--output", "worse")[0] == 1
    decision = team.gate("worse")
    assert decision["exit_code"] == 1
    assert reasons(decision, "staging")["logic"]["tests"] == ["test_shop.py::test_total"]

    team.commit("matrix_name")
    parts = shards()
    assert team.run("merge", *parts, "--output", "better")[0] == 0
    assert team.gate("better")["gate"] == "open"
    code, said = team.run("merge", *parts[:3], "--output", "torn")
    assert code == 3, said
    assert team.gate("torn")["exit_code"] == 3


@pytest.mark.fault("baseline-missing")
@pytest.mark.fault("baseline-tampered")
def test_a_baseline_that_is_none_is_never_passed_over(team: Team) -> None:
    """Without one every failure counts, and that is said; one that is asked for and missing, or edited, is unknown."""
    decision = team.gate()
    assert decision["gate"] == "open"
    assert decision["overall"][0]["text"].startswith("there is no baseline at envmatrix-baseline.json: every failure")
    assert team.gate("--baseline", "elsewhere.json")["exit_code"] == 3
    team.run("baseline", "update")
    path = team.root / "envmatrix-baseline.json"
    path.write_text(path.read_text().replace('"passed"', '"failed logic"'))
    decision = team.gate()
    assert decision["exit_code"] == 3
    assert "was edited by hand" in decision["overall"][0]["text"]


def test_no_baseline_is_made_of_half_a_run(team: Team) -> None:
    """What was not run would be a hole in it, in every decision from then on."""
    (run_file,) = (team.root / ".envmatrix/runs/latest/").glob("local.jsonl")
    run_file.write_text("\n".join(run_file.read_text().splitlines()[:1]) + "\n")
    code, said = team.run("baseline", "update")
    assert code == 2
    assert "no baseline can be made: local: 2 tests planned and never ended" in said
    assert not (team.root / "envmatrix-baseline.json").exists()


def test_no_environment_drops_out_of_the_baseline_unseen(shop: Shop) -> None:
    """One that is declared and was not run keeps the old one as it is; one that is declared no more goes."""
    commit = shop.commit()
    for name in ("local", "staging"):
        shop.ran("a=passed", commit=commit, environment=name)
    assert shop.call("baseline", "update", "run-1.jsonl", "run-2.jsonl")[0] == 0
    shop.bare.declare("local", "staging")
    code, _, err = shop.call("baseline", "update", "run-1.jsonl")
    assert (code, err.partition(". ")[0]) == (
        2,
        "error: no baseline can be made: staging, of the present baseline, was not run",
    )
    (shop.root / "environments/staging.toml").unlink()
    path = shop.root / "envmatrix-baseline.json"
    path.write_text(path.read_text().replace("passed", "failed logic"))  # an edited one is made anew, not read
    code, out, _ = shop.call("baseline", "update", "run-1.jsonl")
    assert (code, out) == (
        0,
        f"envmatrix-baseline.json holds 1 cell of 1 environment at {commit[:12]}\n",
    )


def test_waivers_that_are_named_must_be_there(shop: Shop) -> None:
    """A mistyped option would leave every failure unwaived without a word, or every waiver unseen."""
    shop.ran("a=passed", commit=shop.commit())
    for words in (("gate",), ("waivers", "update")):
        code, _, err = shop.call(*words, "run-1.jsonl", "--waivers", "nix.toml")
        assert (code, err.partition(". ")[0]) == (2, "error: no file nix.toml")


def test_the_gate_asks_for_runs_of_the_change(shop: Shop) -> None:
    """HEAD, unless another commit is named; a run of an older one opens nothing."""
    old, new = shop.commit(), shop.commit()
    shop.ran("a=passed", commit=old)
    code, out, _ = shop.call("gate", "run-1.jsonl")
    assert code == 3
    assert f"of another commit: it was run at {old[:12]}, the change is {new[:12]}" in out
    assert shop.call("gate", "run-1.jsonl", "--commit", "HEAD~1")[0] == 0
    assert shop.call("gate", "run-1.jsonl", "--commit", "nix")[0] == 2


@pytest.mark.fault("no-git")
@pytest.mark.fault("git-refuses")
def test_where_git_does_not_answer_the_gate_does_not_open(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own sentence is shown, and what to do; a commit that is named by its whole hash needs no checkout."""
    commit = shop.commit()
    shop.ran("a=passed", commit=commit)
    assert shop.call("gate", "run-1.jsonl")[0] == 0
    with monkeypatch.context() as another_owner:
        another_owner.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        code, out, _ = shop.call("gate", "run-1.jsonl")
        assert code == 3
        assert f"git config --global --add safe.directory {shop.root}" in " ".join(out.split())
        assert shop.call("gate", "run-1.jsonl", "--commit", commit)[0] == 0
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(shop.root.parent))
    (shop.root / ".git").rename(shop.root / "gone")
    code, out, _ = shop.call("gate", "run-1.jsonl")
    assert code == 3
    assert "the commit to judge is unknown: fatal: not a git repository" in out
    assert shop.call("gate", "run-1.jsonl", "--commit", commit)[0] == 0
    assert shop.call("gate", "run-1.jsonl", "--commit", "d" * 40)[0] == 3
    shop.ran("a=passed", commit="unknown")
    assert shop.call("gate", "run-2.jsonl", "--commit", commit)[0] == 3


@pytest.mark.fault("untracked-files")
def test_an_untracked_conftest_opens_nothing(team: Team) -> None:
    """One that drops the red test makes the run green, and dirty: neither gate nor promotion takes it."""
    team.commit("False")
    (team.root / "conftest.py").rename(team.root / "fixtures.py")
    team.git("add", "-A")
    team.git("commit", "-qm", "fixtures")
    dropping = "from fixtures import *\ndef pytest_collection_modifyitems(items): items.pop()\n"
    (team.root / "conftest.py").write_text(dropping)
    team.matrix()
    decision = team.gate()
    assert decision["gate"] == "unknown"
    assert {"passed", "no-commit"} <= reasons(decision, "local").keys()
    code, said = team.run("promote", "local", "staging")
    assert code == 3
    assert "of no commit: it was run with files that differ" in said


def test_evidence_for_a_promotion_is_found_in_any_run(shop: Shop) -> None:
    """Each environment's last run counts, whichever other was run after it; the commit is named."""
    commit = shop.commit()
    shop.bare.declare("local", "staging")
    for number, name in enumerate(("local", "staging")):
        run = shop.ran("a=passed", commit=commit, environment=name)
        where = shop.root / f".envmatrix/runs/2026010{number}T000000Z-0"
        where.mkdir(parents=True)
        (shop.root / f"{run.header.run_id}.jsonl").rename(where / f"{name}.jsonl")
    code, out, err = shop.call("promote", "local", "staging", "--maximum-age", "1e9")
    assert (code, err) == (0, "")
    assert out.startswith(f"local to staging  open  at {commit[:12]}\n  staging was last run at {commit[:12]}")
    assert shop.call("promote", "local", "local")[0] == 2


def test_no_baseline_is_made_of_a_run_under_another_name(shop: Shop) -> None:
    """What a pull request's own deployment does is no promise of the environment."""
    shop.commit()
    run = write_run(shop.root / "pr.jsonl", Attempt("a", Outcome.PASSED), environment="pr-123", base="staging")
    assert run.header.judged_as == "staging"
    code, _, err = shop.call("baseline", "update", "pr.jsonl")
    assert code == 2
    assert "pr-123 is staging under another name: a baseline is made of staging's own runs" in err
