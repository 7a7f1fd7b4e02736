"""Cases in which the test runner itself breaks, or nothing ran that could be judged."""

from envmatrix.gate import Answer
from envmatrix.runs.outcomes import Outcome
from tests.accuracy.case import Case, Truth
from tests.accuracy.declare import environment, service

BEFORE = """
    import os
    import signal
    import time

    import pytest

    def test_before(real_services):
        assert real_services.http_client_sync.get("/orders").status_code == 200
"""
ALONE = """
    def test_alone():
        pass
"""
_FINE = {"test_before": Truth.PASSED, "test_alone": Truth.PASSED}
_SEGFAULT = "import ctypes; ctypes.string_at(0)"
_BLOCK = "time.sleep(20)"


def _worker(name: str, injected: str, action: str) -> Case:
    """Return a case in which one of two workers ends under its test."""
    source = f"{BEFORE}\n    def test_during():\n        {action}\n{ALONE}"
    return Case(name, injected, Truth.HARNESS, source, rule="H301", also=_FINE, arguments=("-n2",))


def _runner(name: str, injected: str, action: str, *arguments: str) -> Case:
    """Return a case in which the run is ended: the running test and all later ones never finish."""
    source = f"""{BEFORE}
    def test_during():
        {action}

    def test_after(real_services):
        pass
"""
    before = {"test_before": Truth.PASSED}
    return Case(
        name,
        injected,
        Truth.HARNESS,
        source,
        rule="H303",
        outcome=Outcome.NOT_RUN,
        also=before,
        arguments=arguments,
    )


def _nothing(name: str, injected: str, tests: str, *arguments: str) -> Case:
    """Return a case in which nothing fails and nothing is shown."""
    return Case(name, injected, Truth.UNDETERMINED, tests, whole=True, arguments=arguments)


CASES = (
    _worker("worker ends itself", "os._exit under xdist", "os._exit(3)"),
    _worker(
        "worker killed", "SIGKILL, as the kernel does when memory is short", "os.kill(os.getpid(), signal.SIGKILL)"
    ),
    _worker("worker crashes", "SIGSEGV in an extension", _SEGFAULT),
    Case(
        "workers collect different tests",
        "a parameter is another in each process: xdist refuses",
        Truth.HARNESS,
        f"""{BEFORE}
    @pytest.mark.parametrize("process", [os.getpid()])
    def test_during(process):
        pass
""",
        outcome=Outcome.NOT_RUN,
        arguments=("-n2", "-k", "during"),
    ),
    Case(
        "all workers lost",
        "each test ends its worker, and none is replaced",
        Truth.HARNESS,
        f"""{BEFORE}
    @pytest.mark.parametrize("turn", range(6))
    def test_during(turn):
        os._exit(3)
""",
        arguments=("-n2", "--max-worker-restart=0", "-k", "during"),
    ),
    _runner("process ends itself", "os._exit without xdist", "os._exit(0)"),
    _runner("runner killed", "SIGKILL in the middle of a test", "os.kill(os.getpid(), signal.SIGKILL)"),
    _runner(
        "runner terminated", "SIGTERM in the middle of a test", "os.kill(os.getpid(), signal.SIGTERM); time.sleep(20)"
    ),
    _runner(
        "runner interrupted", "SIGINT in the middle of a test", "os.kill(os.getpid(), signal.SIGINT); time.sleep(20)"
    ),
    _runner("a test ends the session", "pytest.exit", "pytest.exit('enough', returncode=0)"),
    Case(
        "controller killed over its workers",
        "SIGKILL of xdist's controller",
        Truth.HARNESS,
        f"""{BEFORE}
    @pytest.mark.parametrize("turn", range(4))
    def test_during(turn):
        time.sleep(0.3)
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(20)
""",
        rule="H303",
        outcome=Outcome.NOT_RUN,
        arguments=("-n2", "-k", "during"),
    ),
    Case(
        "test past its deadline",
        "it blocks while every service answers",
        Truth.HARNESS,
        f"{BEFORE}\n    def test_during(real_services):\n        real_services.http_client_sync.get('/me')\n        {_BLOCK}\n{ALONE}",
        rule="H305",
        also=_FINE,
        arguments=("--timeout=1",),
    ),
    Case(
        "test without services past its deadline",
        "it blocks and uses no service",
        Truth.HARNESS,
        f"{BEFORE}\n    def test_during():\n        {_BLOCK}\n{ALONE}",
        rule="H305",
        also=_FINE,
        arguments=("--timeout=1",),
    ),
    Case(
        "test past its deadline, since a service hangs",
        "the service accepts and never answers, the test waits for it",
        Truth.INFRASTRUCTURE,
        f"""{BEFORE}
    def test_during(real_services):
        injure.faults("backend", "hang")
        real_services.http_client_sync.get("/orders", timeout=20)
{ALONE}""",
        rule="I201",
        also=_FINE,
        environment=environment(service(ping_deadline=0.5)),
        arguments=("--timeout=1",),
    ),
    Case(
        "rest not reached",
        "-x after a wrong assertion: what follows never ran",
        Truth.HARNESS,
        f"{BEFORE}\n    def test_wrong():\n        assert 1 == 2\n\n    def test_after():\n        pass\n",
        rule="H303",
        outcome=Outcome.NOT_RUN,
        also={"test_before": Truth.PASSED, "test_wrong": Truth.LOGIC},
        arguments=("-x",),
    ),
    Case(
        "pytest breaks",
        "a hook of the project's conftest raises: an internal error",
        Truth.HARNESS,
        f"{BEFORE}\n    def test_during(real_services):\n        pass\n",
        rule="H303",
        outcome=Outcome.NOT_RUN,
        also={"test_before": Truth.PASSED},
        conftest="""
            def pytest_runtest_logstart(nodeid):
                if "during" in nodeid:
                    raise RuntimeError("a plugin's own bug")
        """,
    ),
    Case(
        "collection error",
        "a module cannot be imported: nobody knows what it would have planned",
        Truth.HARNESS,
        "import no_such_module\n\ndef test_orders(): pass\n",
        rule="H304",
        whole=True,
    ),
    Case(
        "collection error beside tests that pass",
        "the same, and pytest is told to go on",
        Truth.HARNESS,
        "def test_alone(): pass\n",
        rule="H304",
        whole=True,
        conftest="""
            import pathlib
            pathlib.Path(__file__).with_name("test_other.py").write_text("this is no Python")
        """,
        arguments=("--continue-on-collection-errors",),
    ),
    # Nothing of ours is there yet to write a run file; what is left to hold is that nobody takes it for a pass.
    Case(
        "conftest cannot be imported",
        "pytest ends before it begins",
        Truth.UNDETERMINED,
        "def test_alone(): pass\n",
        whole=True,
        conftest="import no_such_module",
    ),
    Case(
        "declaration cannot be read",
        "an unknown key in the environment's file",
        Truth.UNDETERMINED,
        "def test_alone(): pass\n",
        whole=True,
        environment=environment(service(helth="/health")),
    ),
    _nothing("zero tests", "there is none in the suite", ""),
    _nothing("all deselected", "-k matches nothing", "def test_alone(): pass\n", "-k", "nothing"),
    _nothing(
        "all skipped",
        "each test skips itself",
        "import pytest\n@pytest.mark.parametrize('number', range(3))\ndef test_orders(number): pytest.skip('not today')\n",
    ),
    Case(
        "all skipped, optional service down",
        "each test requires what is optional and down",
        Truth.UNDETERMINED,
        "import pytest\n@pytest.mark.requires('mail')\ndef test_mail(real_services): pass\n",
        whole=True,
        environment=environment(service(), service("mail", required=False, protected=None)),
        faults={"mail": "exits"},
    ),
    # A flaky test is neither a pass nor a failure; what the gate makes of it is the project's own choice.
    Case(
        "flaky",
        "it fails on healthy services, and passes when tried again",
        Truth.LOGIC,
        f"""{BEFORE}
    def test_during(real_services, tries=[]):
        tries.append(1)
        assert len(tries) == 2
{ALONE}""",
        outcome=Outcome.FLAKY,
        also=_FINE,
        verdict=Answer.COMPATIBLE,
        arguments=("--reruns=1",),
    ),
    Case(
        "failed, also when tried again",
        "it fails on healthy services each time",
        Truth.LOGIC,
        f"{BEFORE}\n    def test_during(real_services):\n        assert 1 == 2\n{ALONE}",
        rule="L401",
        outcome=Outcome.FAILED,
        also=_FINE,
        arguments=("--reruns=1",),
    ),
)
