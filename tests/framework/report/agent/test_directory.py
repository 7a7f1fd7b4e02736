"""The directory for an assistant: what is wrong, the worst first, within a budget."""

import json
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from envmatrix.environments import Project
from envmatrix.matrix.table import Matrix
from envmatrix.report.agent.directory import render
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.samples import SHAPES, everything, hostile, judged, missing, passed
from tests.framework.run_files import write_run

BUDGET = 200_000
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})


def files(shape: str, directory: Path, budget: int = BUDGET) -> dict[str, str]:
    """The files of a matrix."""
    return render(SHAPES[shape](directory / "runs"), Project(root=directory), budget)


def manifest(written: dict[str, str]) -> list[dict[str, object]]:
    """The entries of the manifest."""
    return [json.loads(line) for line in written["manifest.jsonl"].splitlines()]


@pytest.mark.fault("hostile-test-name")
@pytest.mark.fault("name-as-path")
@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_is_a_number_and_its_text_is_inert(tmp_path: Path, shape: str) -> None:
    """Names of tests are no paths, and no markup: every link leads to a page that is there."""
    written = files(shape, tmp_path)
    pages = [name for name in written if re.fullmatch(r"failure-\d{4}\.md", name)]
    assert written.keys() == {"index.md", "manifest.jsonl", *pages}
    assert [entry["file"] for entry in manifest(written)] == pages
    for name, text in written.items():
        assert text.replace("\n", "").replace("\t", "").isprintable()
        if name.endswith(".md"):
            tokens = [inner for token in MARKDOWN.parse(text) for inner in [token, *(token.children or [])]]
            assert not [token for token in tokens if token.type.startswith(("html", "image", "em_", "s_"))]
            links = {token.attrs["href"] for token in tokens if token.type == "link_open"}
            assert links == (set(pages) if name == "index.md" else set())


def test_the_index_tells_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    """Verdicts with their reasons, failures by cause, what is wrong besides tests, commands."""
    index = files("everything", tmp_path)["index.md"]
    assert index.startswith("## ❌ Compatibility matrix: incompatible\n")
    for text in (
        "- `staging (twin)`: **unknown**\n  - `pytest ended with exit code 4`",
        "**logic**: mend the product or the test",
        "## Wrong in `backend` besides the tests\n\n- `H304` `tests/test_c.py could not be collected`",
        "## contract: 1 failure\n\n- [failure-0002.md](failure-0002.md): `tests/test_legacy.py::test_it` in `backend`:",
        "failed `C102` `conftest.py:4: fixture 'real_services' lacks 'auth_url'`",
        "`envmatrix explain ENV TEST RUN`",
    ):
        assert text in index


def test_a_page_has_all_evidence_and_the_command(tmp_path: Path) -> None:
    """As `envmatrix explain` tells it."""
    page = files("everything", tmp_path)["failure-0001.md"]
    assert page.startswith(
        "# `tests/test_a.py::test_two`\n\n`failed in local: logic L401: AssertionError: assert 1 == 2`\n"
    )
    assert "```sh\nenvmatrix run local -- tests/test_a.py::test_two\n```" in page
    assert "- place: `tests/test_a.py:9`" in page


def test_the_worst_come_first(tmp_path: Path) -> None:
    """What blames the product, then by the number of cells; a flaky test is the last."""
    entries = manifest(files("everything", tmp_path))
    assert [(entry["outcome"], entry["cause"]) for entry in entries] == [
        ("failed", "logic"),
        ("failed", "contract"),
        ("failed", "infrastructure"),
        ("failed", "infrastructure"),
        ("xpassed", None),
        ("flaky", "infrastructure"),
    ]
    assert entries[0]["rerun"] == "envmatrix run local -- tests/test_a.py::test_two"


def test_what_fails_alike_is_one_failure(tmp_path: Path) -> None:
    """With the names of the tests and the environments, as far as there is room for them."""
    wrong = [
        Attempt(f"a.py::t{n}", Outcome.FAILED, cause=Cause.LOGIC, evidence=Evidence("L401", "boom")) for n in range(30)
    ]
    runs = [write_run(tmp_path / f"{name}.jsonl", *wrong, environment=name) for name in ("one", "two")]
    written = render(judged(Matrix.from_runs(runs)), Project(root=tmp_path), BUDGET)
    (entry,) = manifest(written)
    assert (entry["test_count"], len(entry["tests"]), entry["environments"]) == (30, 20, ["one", "two"])
    assert "## All of it: 30 tests in `one`, `two`" in written["failure-0001.md"]
    assert written["failure-0001.md"].count("\n- `a.py::t") == 19


@pytest.mark.parametrize("budget", [10_000, 60_000])
def test_the_budget_is_kept(tmp_path: Path, budget: int) -> None:
    """A thousand different failures: the worst are told, and the index says how many are not."""
    attempts = []
    for number in range(1000):
        evidence = Evidence("L401", f"{number} {'x' * (number % 50)}", detail="line\n" * 5000, logs={"a": "y" * 9999})
        attempts.append(Attempt(f"a{number}.py::t", Outcome.FAILED, cause=Cause.LOGIC, evidence=evidence))
    run = write_run(tmp_path / "r.jsonl", *attempts, Attempt("b.py::t", Outcome.XPASSED))
    written = render(judged(Matrix.from_runs([run])), Project(root=tmp_path), budget)
    assert budget * 0.6 < sum(map(len, written.values())) <= budget
    (left_out,) = re.findall(r"\*\*Left out: (\d+) failures", written["index.md"])
    assert int(left_out) == 1001 - len(manifest(written))


@pytest.mark.fault("hostile-test-name")
def test_the_budget_holds_for_hostile_names(tmp_path: Path) -> None:
    """However long they are, or however many environments left no run."""
    assert sum(map(len, render(hostile(tmp_path), Project(root=tmp_path), 10_000).values())) <= 10_000
    assert sum(map(len, render(passed(tmp_path / "many", 300), Project(root=tmp_path), 10_000).values())) <= 10_000


def test_nothing_wrong_is_said(tmp_path: Path) -> None:
    """An index without pages; of a run that is missing, its log."""
    assert "\nNo test failed.\n" in files("passed", tmp_path)["index.md"]
    index = render(missing(tmp_path), Project(root=tmp_path), BUDGET)["index.md"]
    assert "## No run of `staging (twin)`: the end of its log\n\n- `ERROR: no such option: --bogus`\n" in index


def test_it_is_the_same_each_time(tmp_path: Path) -> None:
    """It depends on the run files alone."""
    first, second = (render(everything(tmp_path / name), Project(root=tmp_path), BUDGET) for name in "ab")
    assert first == second
