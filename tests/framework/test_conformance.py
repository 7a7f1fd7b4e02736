"""The conformance suite catches every lie: each of its checks fails once the fact that it checks is false."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from envmatrix import conformance as suite
from envmatrix.contracts import RealLLM, RealServices
from tests.framework.bare import LEFT_OUT
from tests.framework.lies.table import LIES, Lie

HERE = Path(__file__).parent
LYING = HERE / "lies"

Results = dict[str, dict[str, dict[str, str]]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Run the suite once, in a project whose services lie: first honestly, then lie by lie."""
    root = tmp_path_factory.mktemp("lying")
    (root / "environments").mkdir()
    shutil.copy(LYING / "lying.toml", root / "environments")
    shutil.copy(LYING / "server.py", root)
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\nfilterwarnings = ['error']\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=native",
        "--import-mode=importlib",
        *LEFT_OUT,
        "-p",
        "anyio",
    ]
    command += ["-p", "no:cacheprovider", "-p", "tests.framework.lies.plugin", "--strict-markers"]
    command += ["--rootdir", str(root), "-c", str(root / "pyproject.toml"), "--matrix-environment", "lying"]
    written = root / "results.json"
    ended = subprocess.run(
        [*command, str(Path(suite.__file__).parent)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "LIES_RESULTS": str(written)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert written.exists(), ended.stdout[-3000:] + ended.stderr[-3000:]
    return json.loads(written.read_text())


def test_an_honest_environment_passes_every_check(results: Results) -> None:
    """Without a lie no check fails, and none is skipped: what fails below fails for the lie."""
    assert {test: phases for test, phases in results["honest"].items() if any(phases.values())} == {}


@pytest.mark.parametrize(
    "lie",
    [pytest.param(lie, id=lie.name, marks=[pytest.mark.fault(lie.fault)] if lie.fault else []) for lie in LIES],
)
def test_every_lie_is_caught(results: Results, lie: Lie) -> None:
    """Each test of a fact fails while that fact is false, and not in its set-up, which would be another error."""
    told = results[lie.name]
    assert {test.partition("[")[0] for test in told} == {test.partition("[")[0] for test in lie.caught_by}
    assert {test for test in lie.caught_by if "[" in test} <= told.keys()
    for test, phases in told.items():
        assert phases["setup"] == "", test
        assert (phases["call"] + phases["teardown"]).startswith("failed"), f"{test} believes it"


def test_every_check_is_lied_to(results: Results) -> None:
    """Each check fails under at least one lie."""
    lied_to = {test for name, tests in results.items() if name != "honest" for test in tests}
    assert results["honest"].keys() - lied_to == set()


def test_every_field_is_lied_about() -> None:
    """There is a lie about each field of a contract."""
    for fixture, contract in {"real_services": RealServices, "real_llm": RealLLM}.items():
        assert {lie.field for lie in LIES if lie.fixture == fixture} >= contract.model_fields.keys()


def test_no_two_lies_have_one_name() -> None:
    """Names are unique, since results are kept by name."""
    assert len({lie.name for lie in LIES}) == len(LIES)
