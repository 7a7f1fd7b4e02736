"""A service of the product that ends on a test's own request is a crash of the product, and the suite goes on."""

import re

import pytest

from envmatrix.gate import Answer, judge
from envmatrix.runs.cells import Run
from envmatrix.runs.outcomes import Outcome
from tests.framework.memory_group import memory_group
from tests.framework.project import TINY_SERVER, Project

SERVER = (
    TINY_SERVER.read_text()
    .replace(
        '        elif self.path == "/die":\n            os.kill(os.getpid(), 9)\n',
        """\
        elif self.path == "/die":
            print("die: no such order", file=sys.stderr, flush=True)
            os._exit(9)
        elif self.path == "/once" and not said("once.txt"):
            open("once.txt", "w").write("done")
            os.abort()
        elif self.path == "/later":
            self.answer(200, {})
            time.sleep(0.1)
            os.abort()
        elif self.path == "/eat":
            bytearray(b"x") * (2 << 30)
        elif self.path == "/kill":
            os.kill(os.getpid(), 9)
""",
    )
    .replace("\n\n\nclass", '\n\nopen("pid.txt", "w").write(str(os.getpid()))\n\n\nclass', 1)
)

CRASHES = """
    import time
    import urllib.request

    import pytest

    def get(real_services, path):
        return real_services.http_client_sync.get(path)

    def test_dies(real_services):
        assert get(real_services, "/die").status_code == 200

    def test_next(real_services):
        assert get(real_services, "/me").status_code == 200

    def test_dies_once(real_services):
        assert get(real_services, "/once").status_code == 200

    def test_dies_after_its_answer(real_services):
        assert get(real_services, "/later").status_code == 200
        time.sleep(0.3)
        assert get(real_services, "/me").status_code == 200

    def test_dies_for_a_client_of_its_own(real_services):
        urllib.request.urlopen(real_services["backend_url"] + "/die")

    def test_hides_it_by_a_skip(real_services):
        try:
            get(real_services, "/die")
        except Exception:
            pytest.skip("no backend here")

    def test_last(real_services):
        assert get(real_services, "/me").status_code == 200
"""


@pytest.fixture
def crashing(project: Project) -> Project:
    """A project whose server crashes on request."""
    project.write("server.py", SERVER)
    return project


def ends(run: Run) -> dict[str, tuple[Outcome, str, list[Outcome]]]:
    """How each test ended, by which rule, and how each of its attempts did."""
    return {
        name.rpartition("::")[2]: (
            cell.outcome,
            cell.evidence.rule if cell.evidence else "",
            [attempt.outcome for attempt in cell.attempts],
        )
        for name, cell in run.cells.items()
    }


@pytest.mark.fault("product-crash")
def test_a_crash_on_the_tests_own_request_is_logic_and_the_suite_goes_on(crashing: Project) -> None:
    """By exit code or signal, in the request or after its answer; a second attempt tells once from always.

    One pytest for all, since each start of the server takes a tenth of a second.
    """
    crashing.write("test_a.py", CRASHES)
    done = crashing.pytest()
    assert done.ret == 1
    failed, passed = Outcome.FAILED, Outcome.PASSED
    assert ends(crashing.run) == {
        "test_dies": (failed, "L403", [failed, failed]),
        "test_next": (passed, "", [passed]),
        "test_dies_once": (failed, "L403", [failed, passed]),
        "test_dies_after_its_answer": (failed, "L403", [failed, failed]),
        "test_dies_for_a_client_of_its_own": (failed, "L403", [failed]),
        "test_hides_it_by_a_skip": (failed, "L403", [failed]),
        "test_last": (passed, "", [passed]),
    }
    cells = {name.rpartition("::")[2]: cell for name, cell in crashing.run.cells.items()}
    evidence = cells["test_dies"].evidence
    assert evidence is not None
    again = "again when the test was run once more"
    assert evidence.summary == f"backend ended with exit code 9 on GET /die → no answer, {again}"
    assert evidence.logs["backend"].endswith("die: no such order")
    once, later = cells["test_dies_once"].evidence, cells["test_dies_after_its_answer"].evidence
    assert once is not None
    assert later is not None
    assert once.summary == "backend was ended by signal 6 (SIGABRT) on GET /once → no answer"
    assert "was ended by signal 6 (SIGABRT) on GET /later → 200" in later.summary
    verdict = judge(crashing.run)
    assert verdict.answer is Answer.INCOMPATIBLE
    assert "backend crashed 7 times and was started again" in [finding.message for finding in crashing.run.findings]
    done.stdout.fnmatch_lines(["*5 failed, 3 passed*2 rerun*"])


@pytest.mark.fault("product-crash")
def test_a_crash_in_a_twin_is_the_products(crashing: Project) -> None:
    """What is declared as remote is a command of the twin's, at the same address: its end is seen, and it is started again."""
    declared = (crashing.root / "environments/tiny.toml").read_text()
    crashing.write("environments/twins/twin.toml", declared.replace('"{environment}"', '"tiny"'))
    remote = re.sub(
        r'source = "process"\n(command|env)(.*\n)*?identity',
        'source = "remote"\nurl = "${THE_URL}"\nidentity',
        declared,
        count=1,
    )
    crashing.write(
        "environments/tiny.toml",
        f'{remote}\n[twin]\nenvironment = "twins/twin.toml"\n\n[twin.variables]\nTHE_URL = "{{backend.url}}"\n',
    )
    crashing.write("test_a.py", CRASHES)
    crashing.pytest("-k", "test_dies_once or test_next")
    assert ends(crashing.run) == {
        "test_next": (Outcome.PASSED, "", [Outcome.PASSED]),
        "test_dies_once": (Outcome.FAILED, "L403", [Outcome.FAILED, Outcome.PASSED]),
    }


@pytest.mark.fault("service-dies-mid-suite")
@pytest.mark.fault("oom-kill")
def test_what_was_killed_is_an_outage(crashing: Project) -> None:
    """SIGKILL is the memory killer's or a person's: infrastructure, also on the test's own request; nothing is repeated."""
    crashing.write("test_a.py", CRASHES.replace("/die", "/kill"))
    crashing.pytest("-k", "test_dies or test_next", "-x")
    failed = Outcome.FAILED
    assert ends(crashing.run)["test_dies"] == (failed, "I201", [failed])


@pytest.mark.fault("oom-kill")
def test_what_the_kernel_killed_for_want_of_memory_is_named(crashing: Project) -> None:
    """It is an outage, also on the test's own request; the service is started again, and the test is not repeated."""
    crashing.write("test_a.py", CRASHES.replace("/die", "/eat"))
    with memory_group(500 << 20) as joining:
        crashing.write(
            "conftest.py",
            f"import os, pathlib\ndef pytest_sessionstart(): pathlib.Path({str(joining)!r}).write_text(str(os.getpid()))\n",
        )
        crashing.pytest("-k", "test_dies_for or test_last")
    assert ends(crashing.run) == {
        "test_dies_for_a_client_of_its_own": (Outcome.FAILED, "I201", [Outcome.FAILED]),
        "test_last": (Outcome.PASSED, "", [Outcome.PASSED]),
    }
    (evidence,) = (cell.evidence for cell in crashing.run.cells.values() if cell.evidence)
    assert "(SIGKILL): out of memory" in evidence.summary
    assert "as the kernel killed a process for want of memory" in evidence.summary


@pytest.mark.fault("product-crash")
def test_a_crash_between_tests_is_an_outage(crashing: Project) -> None:
    """A service that ends while no test asks is not the next test's crash; the run says it."""
    crashing.write(
        "test_a.py",
        """
        import os
        import pathlib
        import time

        def test_before(real_services):
            assert real_services.http_client_sync.get("/me").status_code == 200

        def test_that_asks_nothing():
            file, end = pathlib.Path("pid.txt"), time.monotonic() + 30
            pid = file.read_text()
            os.kill(int(pid), 11)
            while file.read_text() in {"", pid} and time.monotonic() < end:
                time.sleep(0.02)

        def test_after(real_services):
            assert real_services.http_client_sync.get("/me").status_code == 200
        """,
    )
    crashing.pytest()
    assert ends(crashing.run)["test_after"][1] in {"", "I201"}
    assert [(each.rule, each.message) for each in crashing.run.findings] == [
        ("I201", "backend crashed once and was started again")
    ]


@pytest.mark.fault("product-crash")
def test_with_workers_the_second_attempt_tells_whose_crash_it_was(crashing: Project) -> None:
    """Two workers ask one service: the test under which it crashes twice is the one, its neighbour is not blamed."""
    crashing.write(
        "test_a.py",
        """
        import time

        def test_dies(real_services):
            time.sleep(0.2)
            assert real_services.http_client_sync.get("/die").status_code == 200

        def test_neighbour(real_services):
            for _ in range(20):
                assert real_services.http_client_sync.get("/me").status_code in {200, 401}
                time.sleep(0.02)
        """,
    )
    crashing.pytest("-n2")
    found = ends(crashing.run)
    assert found["test_dies"] == (Outcome.FAILED, "L403", [Outcome.FAILED, Outcome.FAILED])
    assert found["test_neighbour"][1] in {"", "I201"}


def test_while_a_service_runs_no_test_asks_whether_it_crashed(crashing: Project) -> None:
    """The supervisor is asked to start it, once, however many tests use its default user."""
    crashing.write(
        "conftest.py",
        """
        from envmatrix.services.supervisor import SupervisorClient

        start = SupervisorClient.start

        def counted(self, names, **more):
            with open("asked.txt", "a") as stream:
                stream.write(f"{names}\\n")
            return start(self, names, **more)

        SupervisorClient.start = counted
        """,
    )
    crashing.write("test_a.py", "".join(f"def test_{number}(real_services): pass\n" for number in range(3)))
    crashing.pytest().assert_outcomes(passed=3)
    assert len((crashing.root / "asked.txt").read_text().splitlines()) == 1
