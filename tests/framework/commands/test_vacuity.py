"""`envmatrix vacuity`: a planted vacuous test is found, and an honest one is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.framework.bare import Bare
from tests.framework.project import WITH_STORE, Project, write_project

TESTS = """
import httpx, pytest

@pytest.mark.requires("store")
def test_honest(real_services):
    httpx.get(real_services.health_endpoints["store"], trust_env=False).raise_for_status()

@pytest.mark.requires("store", "multi_user")
def test_vacuous_for_one(users): users("one")

@pytest.mark.requires("backend")
def test_about_another(real_services): assert real_services.http_client_sync.get("/me").status_code == 200

@pytest.mark.requires("redis")
def test_absent(): raise AssertionError

def test_requires_nothing(): raise AssertionError
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Bare:
    """A project with a vacuous test and honest ones."""
    root = tmp_path_factory.mktemp("vacuity")
    write_project(Project(None, root))
    bare = Bare(root)
    bare.write("environments/tiny.toml", WITH_STORE)
    bare.write("environments/far.toml", '[services.far]\nkind = "http"\nsource = "absent"\n')
    bare.write("test_a.py", TESTS)
    return bare


def test_a_vacuous_test_is_found_and_an_honest_one_is_not(project: Bare) -> None:
    """For each service, only the tests that require it run while it is down; the environment is started once."""
    done = project.run("vacuity", "tiny", "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    told = {each["service"]: each for each in document["services"]}
    tests = {name: sorted(told[name]["honest"]) for name in told}
    assert tests == {
        "backend": ["test_a.py::test_about_another", "test_a.py::test_vacuous_for_one"],
        "store": ["test_a.py::test_honest"],
    }
    assert [each["test"] for each in told["store"]["vacuous"]] == ["test_a.py::test_vacuous_for_one"]
    assert told["store"]["vacuous"][0]["used"] == ["backend"]
    assert told["backend"]["capabilities"] == ["backend", "multi_user"]
    assert document["left_alone"] == {"redis": "absent"}
    assert (document["exit_code"], told["backend"]["vacuous"], told["store"]["unjudged"]) == (1, [], {})
    logs = [file.read_text() for file in Path(project.last).glob("*.log")]
    assert sum("1 deselected" in log or "deselected" in log for log in logs) == 2


def test_a_suite_without_a_vacuous_test_is_0_and_nothing_judged_is_3(project: Bare) -> None:
    """Words after -- choose tests; a suite of which none requires anything that we start proves nothing. Only one environment starts services."""
    done = project.run("vacuity", "tiny", "--quiet", "--", "-k", "honest")
    assert done.returncode == 0, done.stdout
    assert "backend: no test requires it" in done.stdout
    assert "tiny: every test that was judged needs what it requires" in done.stdout
    done = project.run("vacuity", "--quiet", "--", "-k", "nothing")
    assert done.returncode == 3


def test_an_environment_that_starts_nothing_is_refused(project: Bare) -> None:
    """One line, before anything runs."""
    done = project.run("vacuity", "far")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: no service that could be taken down is started by far. Name an environment that starts some\n"
    )


def test_of_several_environments_one_is_to_be_named(project: Bare) -> None:
    """All of them would take long."""
    project.write("environments/two.toml", WITH_STORE)
    try:
        done = project.run("vacuity")
    finally:
        (project.root / "environments" / "two.toml").unlink()
    assert (done.returncode, done.stderr) == (2, "error: several environments start services. Name one: tiny, two\n")
