"""Processes start fresh or from a fork server, and stop with all that they started."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from envmatrix.environments import Source
from envmatrix.exceptions import StartError
from envmatrix.masking import MASKER
from envmatrix.services import Endpoint, Launch
from envmatrix.services.processes import process as process_module
from envmatrix.services.processes.log_lines import log_tail
from envmatrix.services.processes.process import Launcher, ServiceProcess, explain_exit, stop
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory
from tests.framework.services.place import Place, eventually, runs

NOWHERE = Endpoint(service="s", kind="banner", source=Source.PROCESS, url="tcp://127.0.0.1:1", host="127.0.0.1", port=1)


@pytest.fixture
def launcher(place: Place) -> Iterator[Launcher]:
    """A launcher whose processes are stopped after the test."""
    run = SupervisorDirectory.make(place.runs / "r")
    launcher = Launcher(run)
    yield launcher
    launcher.stop_all(grace=1)
    shutil.rmtree(run.path)


def python(*arguments: str, **more: object) -> Launch:
    """A process of this interpreter."""
    return Launch(endpoint=NOWHERE, command=(sys.executable, *arguments), **more)


def ended(process: ServiceProcess) -> int | None:
    """How it ended."""
    assert eventually(lambda: process.exit_code() is not None)
    return process.exit_code()


def test_an_exit_code_and_the_end_of_the_log_are_kept(launcher: Launcher) -> None:
    """The last twenty lines of what a process wrote are kept, and what looks like a secret in them is not."""
    text = "print(*range(30), sep='\\n'); print('password=hunter2hunter2'); raise SystemExit(4)"
    process = launcher.start("s", python("-S", "-c", text))
    assert ended(process) == 4
    assert process.log_tail().splitlines() == [*map(str, range(11, 30)), "password=**********"]
    assert explain_exit(4) == "ended with exit code 4"
    assert explain_exit(-15) == "was ended by signal 15 (SIGTERM)"


def test_a_command_that_does_not_exist_is_a_start_error(launcher: Launcher) -> None:
    """The error names the service and the command."""
    launch = Launch(endpoint=NOWHERE, command=("no-such-command",), env={"PATH": "/nowhere"})
    with pytest.raises(StartError, match=r"service 's' could not be started: .*no-such-command"):
        launcher.start("s", launch)


def test_nothing_starts_once_everything_is_being_stopped(launcher: Launcher) -> None:
    """A start that loses the race with the end is refused."""
    launcher.stop_all(grace=0)
    with pytest.raises(StartError, match="being stopped"):
        launcher.start("s", python("-c", ""))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_a_server_that_refuses_root_runs_as_another_account(launcher: Launcher) -> None:
    """A process runs as the account it names, and still writes to its log."""
    launch = Launch(endpoint=NOWHERE, command=("/usr/bin/id", "-un"), user="nobody")
    process = launcher.start("s", launch)
    assert ended(process) == 0
    assert process.log_tail() == "nobody"


@pytest.mark.fault("pid-reuse")
def test_a_process_that_took_over_a_number_is_not_signalled(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither signals nor a stop reach a process that only has the same id."""
    monkeypatch.setattr(process_module, "_KILLED", 0.01)
    real = launcher.start("s", python("-S", "-c", "import time; time.sleep(60)"))
    stale = ProcessIdentity(real.identity.pid, real.identity.started - 1)
    impostor = ServiceProcess("s", stale, 9, real.log, lambda: None)
    assert stale.process() is None
    assert stop([impostor], grace=0) == {"s"}
    assert real.exit_code() is None
    assert runs(real.identity.pid)


@pytest.fixture
def preloaded_module(place: Place, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module for the fork server, which finds it like everybody else."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place.root), os.environ["PYTHONPATH"]]))
    path = place.root / "warm_service.py"
    path.write_text(
        "import os, sys\n"
        "IMPORTED_BY = os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    import warm_service\n"
        "    print(warm_service.IMPORTED_BY != os.getpid(), sys.argv[1:], os.getsid(0) == os.getpid())\n"
        "    print(os.getcwd(), sorted(os.environ), flush=True)\n"
        "    sys.exit(5)\n"
    )
    return path


def test_a_preloaded_module_is_forked_from_a_fork_server(launcher: Launcher, preloaded_module: Path) -> None:
    """The child has the module already, and the arguments, directory and environment of a fresh process."""
    launcher.preload(["warm_service"])
    launch = python(
        "-m", "warm_service", "word", env={"ONLY": "this"}, cwd=preloaded_module.parent, preload=("warm_service",)
    )
    process = launcher.start("s", launch)
    assert ended(process) == 5
    variables = ["ENVMATRIX_RUN_DIR", "ONLY"]
    assert process.log_tail() == f"True ['word'] True\n{preloaded_module.parent} {variables}"


@pytest.mark.parametrize("text", ["import no_such_module", "raise ValueError('broken at import')"])
def test_a_module_that_cannot_be_imported_says_so_in_its_own_log(
    launcher: Launcher, preloaded_module: Path, text: str
) -> None:
    """Whatever a preloaded module does at import, its service fails with the traceback and no other is held up."""
    preloaded_module.write_text(text)
    launcher.preload(["warm_service"])
    env = {"PYTHONPATH": os.environ["PYTHONPATH"]}
    launch = python("-m", "warm_service", env=env, cwd=preloaded_module.parent, preload=("warm_service",))
    process = launcher.start("s", launch)
    assert ended(process) == 1
    assert text.rsplit(maxsplit=1)[-1].strip("')") in process.log_tail()


def test_a_forked_service_is_stopped_like_any_other(launcher: Launcher, preloaded_module: Path) -> None:
    """A forked service is reported with its signal, and the fork server is gone after stop_all."""
    preloaded_module.write_text("import time\nif __name__ == '__main__':\n    time.sleep(60)\n")
    launcher.preload(["warm_service"])
    launch = python("-m", "warm_service", cwd=preloaded_module.parent, preload=("warm_service",))
    process = launcher.start("s", launch)
    assert runs(process.identity.pid)
    assert launcher.stop_all(grace=2) == frozenset()
    assert process.exit_code() == -15
    assert psutil.Process().children(recursive=True) == []


def test_a_log_that_is_not_there_has_no_end(tmp_path: Path) -> None:
    """A missing file is an empty tail."""
    assert log_tail(tmp_path / "none") == ""


@pytest.mark.fault("canary-secret")
def test_a_log_is_not_cut_into_half_a_secret(tmp_path: Path) -> None:
    """What is left of one at the cut is masked, too."""
    MASKER.add("half-of-a-k4nary")
    log = tmp_path / "log"
    log.write_text("half-of-a-k4nary" + "x" * (4096 - 8))
    assert log_tail(log).startswith("…**********xxx")
