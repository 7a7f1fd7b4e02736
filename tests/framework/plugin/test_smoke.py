"""Smoke first: what keeps every test from running is said once, and no planned test is lost over it."""

import signal
import subprocess
import sys
import time

import pytest

from envmatrix.gate import Answer, Code, judge
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.bare import LEFT_OUT
from tests.framework.project import TINY_TOML, Project

THREE = """
    def test_one(real_services): assert real_services.http_client_sync.get("/me").status_code == 200
    def test_two(users): users("two")
    def test_three(): pass
"""


@pytest.fixture
def three(project: Project) -> Project:
    """Two tests that need the environment, and one that does not."""
    project.write("test_a.py", THREE)
    return project


def outcomes(project: Project) -> dict[str, tuple[Outcome, Cause | None, str]]:
    """What became of each test, why, and by which rule."""
    return {
        name.rpartition("/")[2].removeprefix("test_a.py::"): (
            cell.outcome,
            cell.cause,
            cell.evidence.rule if cell.evidence else "",
        )
        for name, cell in project.run.cells.items()
    }


def blocked(cause: Cause, rule: str) -> dict[str, tuple[Outcome, Cause | None, str]]:
    """The outcomes of the three where the environment fails its check."""
    told = (Outcome.NOT_RUN, cause, rule)
    return {"test_one": told, "test_two": told, "test_three": (Outcome.PASSED, None, "")}


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_service_that_does_not_start_is_said_once(three: Project, workers: tuple[str, ...]) -> None:
    """Who needs the environment is not run, with the service, the reason and its log; who does not, runs."""
    three.write("server.py", "print('no such table')\nraise SystemExit(3)")
    done = three.pytest(*workers)
    assert done.ret == 1
    assert outcomes(three) == blocked(Cause.INFRASTRUCTURE, "I202")
    done.stdout.fnmatch_lines(
        ["*2 not run: blocked by the smoke check: I202 service 'backend' ended with exit code 3*"]
    )
    evidence = three.run.cells["test_a.py::test_one"].evidence
    assert evidence is not None
    assert evidence.phase == "smoke"
    assert evidence.logs == {"backend": "no such table"}
    verdict = judge(three.run)
    assert (verdict.answer, verdict.reasons[0].code) == (Answer.UNKNOWN, Code.BLOCKED)
    assert [reason.code for reason in verdict.reasons].count(Code.BLOCKED) == 1


def test_the_root_of_a_failed_start_is_said_whatever_its_name(three: Project) -> None:
    """A service that ends for want of another, or is not started, is no news beside that other, nor is its log."""
    three.write("zeta.py", "print('no such table')\nraise SystemExit(3)")
    three.write("server.py", "print('no zeta')\nraise SystemExit(4)")
    zeta = """
        [services.zeta]
        kind = "http"
        source = "process"
        command = ["{python}", "-S", "zeta.py"]
        """
    early = 'env = { ZETA = "{zeta.url}",'
    three.write("environments/tiny.toml", TINY_TOML.replace("env = {", f'start_after = "address"\n{early}') + zeta)
    done = three.pytest()
    done.stdout.fnmatch_lines(
        ["*I202 service 'zeta' ended with exit code 3 before it was ready; the log ends: no such table"]
    )


@pytest.mark.fault("health-200-wrong-service")
def test_a_wrong_server_is_refused_before_any_test(three: Project) -> None:
    """What is healthy and somebody else is asked for nothing but its name."""
    three.write("environments/tiny.toml", TINY_TOML.replace('environment = "tiny" }\np', 'environment = "prod" }\np'))
    three.write("server.py", (three.root / "server.py").read_text().replace("def do_POST", "def do_POST_no_more"))
    three.pytest()
    assert outcomes(three) == blocked(Cause.INFRASTRUCTURE, "I203")
    assert "answers as backend/tiny, expected backend/prod" in three.run.cells["test_a.py::test_one"].reason


@pytest.mark.parametrize(
    ("answer", "cause", "rule"),
    [("503", Cause.INFRASTRUCTURE, "I204"), ("401", Cause.CONTRACT, "C106")],
)
def test_a_service_that_only_says_it_is_well_is_found_out(three: Project, answer: str, cause: Cause, rule: str) -> None:
    """Its health path answers 200, and a user's token gets nowhere."""
    three.write("me.txt", answer)
    three.pytest()
    assert outcomes(three) == blocked(cause, rule)
    assert f"GET /me of backend answers {answer}" in three.run.cells["test_a.py::test_one"].reason


@pytest.mark.parametrize(
    ("signup", "cause", "rule"),
    [("/refused", Cause.CONTRACT, "C107"), ("/broken", Cause.INFRASTRUCTURE, "I204")],
)
def test_an_environment_that_makes_no_users_runs_nothing(three: Project, signup: str, cause: Cause, rule: str) -> None:
    """A refused sign-up breaks what `users` promises; one that the server itself failed at is the server's."""
    three.write("environments/tiny.toml", TINY_TOML.replace('"/signup"', f'"{signup}"'))
    three.pytest()
    assert outcomes(three) == blocked(cause, rule)


def test_a_healthy_environment_blocks_nothing_and_attests_itself(three: Project) -> None:
    """Before and after the suite each service says who it is, and of which commit."""
    assert three.pytest().ret == 0
    run = three.run
    assert [attestation.moment for attestation in run.attestations] == ["before", "after"]
    identity = {"service": "backend", "environment": "tiny", "version": "1", "commit": "c"}
    assert [said.services["backend"].identity for said in run.attestations] == [identity, identity]
    assert run.redeployed == ()
    assert run.cells["test_a.py::test_two"].attempts[0].capabilities == ("backend", "multi_user")


@pytest.mark.fault("mid-run-redeploy")
@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "xdist"])
def test_a_redeploy_under_the_run_marks_it_mixed(project: Project, workers: tuple[str, ...]) -> None:
    """All tests pass, another commit answers at the end, and nobody may say of which the run tells."""
    project.write(
        "test_a.py",
        """
        import pathlib

        def test_redeploys(real_services):
            pathlib.Path("commit.txt").write_text("d")
        """,
    )
    project.pytest(*workers)
    assert project.run.redeployed[0].startswith("backend: commit c, ")
    verdict = judge(project.run)
    assert (verdict.answer, verdict.reasons[0].code) == (Answer.UNKNOWN, Code.MIXED)


def test_a_job_that_fails_is_an_outage_with_its_log(three: Project) -> None:
    """Whoever needs what needs the job is not run; cause, exit code and log are the job's, and the verdict is unknown."""
    toml = TINY_TOML.replace("protected =", 'needs = ["migrate"]\nprotected =')
    script = "print('no such table'); raise SystemExit(4)"
    job = f'[services.migrate]\nkind = "job"\nsource = "process"\ncommand = ["{{python}}", "-S", "-c", "{script}"]\n'
    three.write("environments/tiny.toml", toml + job)
    done = three.pytest()
    assert outcomes(three) == blocked(Cause.INFRASTRUCTURE, "I202")
    done.stdout.fnmatch_lines(["*I202 service 'migrate' failed: it ended with exit code 4*"])
    assert three.run.cells["test_a.py::test_one"].evidence.logs["migrate"] == "no such table"
    verdict = judge(three.run)
    assert (verdict.answer, verdict.answer.exit_code) == (Answer.UNKNOWN, 3)


def test_who_meets_a_broken_fixture_again_is_blocked_by_the_first(project: Project) -> None:
    """One test fails for the breach, the others wait for it; another breach is another failure."""
    legacy = "import pytest\n@pytest.fixture\ndef real_services(): return {'environment': %r}\n"
    project.write("one/conftest.py", legacy % "tiny")
    project.write("two/conftest.py", legacy % "prod")
    for place in ("one", "two"):
        project.write(f"{place}/test_{place}.py", "def test_a(real_services): pass\ndef test_b(real_services): pass")
    done = project.pytest("--import-mode=importlib")
    done.assert_outcomes(errors=2)
    failed, waits = (Outcome.FAILED, Cause.CONTRACT, "C102"), (Outcome.NOT_RUN, Cause.CONTRACT, "C102")
    assert list(outcomes(project).values()) == [failed, waits, failed, waits]
    assert project.run.cells["one/test_one.py::test_b"].reason == (
        "blocked by one/test_one.py::test_a: C102 one/conftest.py:2: fixture 'real_services' breaks its contract"
    )


def test_a_test_in_flight_is_told_from_those_that_never_began(project: Project) -> None:
    """When the run is ended under a test, its cell says that it was running; the next says that it never ended."""
    project.write(
        "test_a.py",
        """
        import pathlib, time

        def test_runs():
            pathlib.Path("runs.txt").touch()
            time.sleep(60)

        def test_waits(): pass
        """,
    )
    command = [sys.executable, "-m", "pytest", *LEFT_OUT, "--matrix-environment=tiny"]
    with subprocess.Popen(
        [*command, f"--matrix-run-file={project.run_file}"], cwd=project.root, stdout=subprocess.DEVNULL
    ) as process:
        end = time.monotonic() + 30
        while not (project.root / "runs.txt").exists() and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
    reasons = [cell.reason for cell in project.run.cells.values()]
    assert reasons == ["was running when the run ended: terminated by SIGTERM", "terminated by SIGTERM"]


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
def test_deselected_tests_are_counted(three: Project, workers: tuple[str, ...]) -> None:
    """What is left out is not planned, and is not forgotten either."""
    three.pytest("-k", "three", *workers)
    assert list(three.run.cells) == ["test_a.py::test_three"]
    assert three.run.footer is not None
    assert three.run.footer.deselected == 2
