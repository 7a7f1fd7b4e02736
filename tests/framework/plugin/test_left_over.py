"""What a test leaves behind: found, listed, and never blamed on a test that left nothing."""

from __future__ import annotations

import sys
import textwrap

import pytest

from envmatrix.runs.cells import Cell
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.project import ASYNCIO, Project

pytestmark = pytest.mark.fault("leaked-resources")

SERVER = """
import http.server, threading

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *args): pass

def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server
"""

LIBRARY = """
import threading, time

def beat(): time.sleep(60)

def begin(): threading.Thread(target=beat, daemon=True).start()
"""

HEAD = """
import asyncio, functools, gc, socket, threading, time
from concurrent.futures import ThreadPoolExecutor
import httpx, pytest
import helpers, library

KEPT, END = [], threading.Event()

@pytest.fixture(scope="module", autouse=True)
def end_what_python_waits_for():
    yield
    END.set()

def connect(services):
    return socket.create_connection(("127.0.0.1", int(services.backend_url.rpartition(":")[2])))
"""


def run(project: Project, test: str, *arguments: str, conftest: str = "") -> dict[str, Cell]:
    """Run tests in a project whose directory also has `helpers.py`; return their cells by name."""
    pyproject = project.root / "pyproject.toml"
    if "pythonpath" not in pyproject.read_text():
        pyproject.write_text(pyproject.read_text() + "pythonpath = ['.', 'site-packages']\n")
    project.write("helpers.py", SERVER)
    project.write("site-packages/library.py", LIBRARY)
    project.write("conftest.py", f"import pytest, helpers, threading\n{textwrap.dedent(conftest)}")
    project.write("test_a.py", HEAD + textwrap.dedent(test))
    project.pytest("-W", "error", *arguments)
    return {name.partition("::")[2]: cell for name, cell in project.run.cells.items()}


def left(cell: Cell) -> str:
    """What a cell is blamed for."""
    assert cell.evidence is not None, cell
    assert (cell.outcome, cell.cause, cell.evidence.rule) == (Outcome.FAILED, Cause.LOGIC, "L402"), cell
    return cell.evidence.summary.partition(" left behind: ")[2]


SITE = """
@pytest.fixture(scope="session")
def site():
    server = helpers.serve()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
"""

LEAVING = """
def test_socket(real_services):
    KEPT.append(connect(real_services))

def test_client(real_services, site):
    KEPT.append(httpx.Client(trust_env=False))
    KEPT[-1].get(site)

def test_listening(real_services):
    KEPT.append(socket.create_server(("127.0.0.1", 0)))

def test_thread(real_services):
    threading.Thread(target=time.sleep, args=(60,), name="forgotten", daemon=True).start()

def test_server(real_services):
    threading.Thread(target=helpers.serve().serve_forever, daemon=True).start()

def test_executor(real_services):
    ThreadPoolExecutor(1).submit(END.wait, 60)

async def forgotten():
    await asyncio.sleep(60)

@pytest.mark.asyncio
async def test_task(real_services):
    KEPT.append(asyncio.create_task(forgotten(), name="mine"))

@pytest.mark.asyncio(loop_scope="session")
async def test_task_in_a_loop_that_stays(real_services):
    KEPT.append(asyncio.create_task(asyncio.sleep(60)))

@pytest.mark.asyncio(loop_scope="session")
async def test_connection_in_a_loop_that_stays(real_services):
    port = int(real_services.backend_url.rpartition(":")[2])
    await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", port)

def test_asked_for_late(request):
    KEPT.append(connect(request.getfixturevalue("real_services")))
    KEPT.append(connect(request.getfixturevalue("real_services")))

def test_nothing(real_services):
    pass
"""

TOLD = {
    "test_socket": "1 socket: to 127.0.0.1:",
    "test_client": "1 socket: to 127.0.0.1:",
    "test_listening": "1 socket: at 127.0.0.1:",
    "test_thread": "1 thread: forgotten running sleep",
    "test_server": "running BaseServer.serve_forever (socketserver.py:",
    "test_executor": "1 thread: ThreadPoolExecutor-",
    "test_task": "1 task: mine running forgotten (test_a.py:",
    "test_task_in_a_loop_that_stays": "running sleep (tasks.py:",
    "test_connection_in_a_loop_that_stays": "1 socket: to 127.0.0.1:",
    "test_asked_for_late": "1 socket: to 127.0.0.1:",
}


def test_what_a_test_leaves_in_its_process_fails_it(project: Project) -> None:
    """Each cell is logic, L402, and says what it is; no later test is blamed for it."""
    cells = run(project, LEAVING, *ASYNCIO, conftest=SITE)
    assert cells.pop("test_nothing").outcome is Outcome.PASSED
    said = {name: left(cell) for name, cell in cells.items()}
    assert said.keys() == TOLD.keys()
    assert {name: text for name, text in said.items() if TOLD[name] not in text} == {}


PROCESSES = """
import multiprocessing, os, subprocess
from concurrent.futures import ProcessPoolExecutor

@pytest.fixture(scope="module")
def process_pool():
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        yield executor

def test_process(real_services):
    KEPT.append(subprocess.Popen(["sleep", "60"]))

def test_dropped_process(real_services):
    subprocess.Popen(["sleep", "60"])

def test_fork(real_services):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)

def test_a_pool_of_processes(real_services, process_pool): process_pool.submit(int).result()
def test_a_process_that_has_ended(real_services): subprocess.Popen(["true"]); time.sleep(0.05)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the children of a process are listed below /proc")
def test_a_process_that_a_test_leaves_fails_it(project: Project) -> None:
    """Started or forked, held or dropped; not one that has ended, nor one of a pool that stays."""
    cells = run(project, PROCESSES, "-W", "ignore::ResourceWarning")
    blamed = {name: left(cell) for name, cell in cells.items() if cell.outcome is Outcome.FAILED}
    assert blamed.keys() == {"test_process", "test_dropped_process", "test_fork"}
    assert all(text.startswith("1 process: ") for text in blamed.values())
    assert "sleep 60" in blamed["test_dropped_process"]


INNOCENT = """
import pytest_asyncio

CLIENT = httpx.Client(trust_env=False)
CLIENTS = [httpx.Client(trust_env=False)]

class Proxy:
    __class__ = property(lambda self: 1 / 0)

PROXY = Proxy()

@pytest.fixture
def proxy():
    return PROXY

def ask(client, site):
    assert client.get(site).text == "ok"

@functools.cache
def cached():
    return httpx.Client(trust_env=False)

@pytest.fixture(scope="session")
def shared():
    with httpx.Client(trust_env=False) as client:
        yield client

@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(4) as executor:
        yield executor

@pytest.fixture(scope="session")
def fire_and_forget():
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()

@pytest_asyncio.fixture
async def background():
    task = asyncio.create_task(asyncio.sleep(60))
    yield
    task.cancel()

@pytest.fixture
def closes_later():
    held = []
    yield held
    for each in held: each.close()

def test_a_clients_first_connection(real_services, site, shared): ask(shared, site)
def test_a_modules_client(real_services, site): ask(CLIENT, site)
def test_a_modules_old_client(real_services, site): ask(CLIENTS[0], site)
def test_a_cached_client(real_services, site): ask(cached(), site)
def test_a_proxy_without_its_object(real_services, site, proxy): ask(CLIENT, site)
def test_a_pool_that_grows(real_services, pool): list(pool.map(time.sleep, [0.01] * 4))
def test_a_fixture_that_keeps_a_thread(real_services, fire_and_forget): pass
def test_a_librarys_own_thread(real_services): library.begin()
def test_what_a_fixture_closes(closes_later, real_services): closes_later.append(connect(real_services))

@pytest.mark.asyncio
async def test_a_fixtures_task(real_services, background): await asyncio.sleep(0)

@pytest.mark.asyncio(loop_scope="session")
async def test_a_thread_of_the_loop(real_services): await asyncio.to_thread(time.sleep, 0.01)

@pytest.mark.asyncio(loop_scope="session")
async def test_a_task_about_to_end(real_services): asyncio.create_task(asyncio.sleep(0.01))

@pytest.mark.asyncio(loop_scope="session")
async def test_a_transport_about_to_close(real_services):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(real_services.backend_url.rpartition(":")[2]))
    writer.close()

@pytest.mark.asyncio
async def test_an_asynchronous_client(real_services):
    assert (await real_services.http_client.get("/me")).status_code == 200

def test_a_thread_about_to_end(real_services): threading.Thread(target=time.sleep, args=(0.02,)).start()

def test_an_executor_that_is_done(real_services): ThreadPoolExecutor(2).submit(int).result()

def test_a_loop_of_ones_own(real_services):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(asyncio.sleep(0))

def test_users(users, real_services):
    with users.many(3)[0].client() as client: client.get("/me")
    real_services.http_client_sync.get("/me")

def test_the_last(request, real_services):
    CLIENT.close(), CLIENTS[0].close(), cached().close()
    asyncio.get_event_loop().close()
    gc.collect()
"""


def test_what_somebody_holds_who_stays_is_not_left_over(project: Project) -> None:
    """Pools, caches, fixtures of broader scope, a server in this process, what ends in a moment: nobody is blamed."""
    cells = run(project, INNOCENT, *ASYNCIO, conftest=SITE)
    assert {name: cell for name, cell in cells.items() if cell.outcome is not Outcome.PASSED} == {}
    assert len(cells) == 19


GARBAGE = """
class Client:
    def __init__(self, services): self.itself, self.socket = self, connect(services)

def test_garbage(real_services): Client(real_services)
"""


def test_what_the_collector_closes_is_not_left_over(project: Project) -> None:
    """A forgotten cycle is gone after a collection; where warnings are errors, its warning fails the test that made it."""
    assert run(project, GARBAGE, "-W", "default")["test_garbage"].outcome is Outcome.PASSED
    cells = run(project, f"{GARBAGE}\ndef test_next(real_services): pass\n")
    assert cells["test_garbage"].evidence is not None
    assert "<socket.socket" in cells["test_garbage"].evidence.summary
    assert cells["test_next"].outcome is Outcome.PASSED


FORGOTTEN = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"


def test_what_is_left_over_never_hides_what_failed_before(project: Project) -> None:
    """A failure keeps its cause, an expected one stays expected, a skip a skip; and no second error is shown."""
    test = f"""
        def test_fails(real_services):
            {FORGOTTEN}
            assert 1 == 2

        @pytest.mark.xfail(reason="known")
        def test_expected(real_services):
            {FORGOTTEN}
            assert 1 == 2

        def test_skips(real_services):
            {FORGOTTEN}
            pytest.skip("not here")

        @pytest.fixture
        def broken():
            yield
            raise RuntimeError("no end")

        def test_teardown(broken, real_services):
            {FORGOTTEN}
    """
    cells = run(project, test)
    assert [cell.outcome.value for cell in cells.values()] == ["failed", "xfailed", "skipped", "failed"]
    fails, teardown = cells["test_fails"].evidence, cells["test_teardown"].evidence
    assert fails is not None
    assert (fails.rule, fails.phase, fails.summary) == ("L401", "call", "AssertionError: assert 1 == 2")
    assert teardown is not None
    assert (teardown.rule, teardown.summary) == ("L401", "RuntimeError: no end")


def test_what_is_meant_to_stay_is_said_by_a_marker(project: Project) -> None:
    """Only what the marker names is let through, in the singular or plural."""
    test = f"""
        @pytest.mark.leaves("threads")
        def test_meant(real_services): {FORGOTTEN}

        @pytest.mark.leaves("thread", "socket")
        def test_both(real_services):
            {FORGOTTEN}
            KEPT.append(connect(real_services))

        @pytest.mark.leaves("sockets")
        def test_other(real_services): {FORGOTTEN}
    """
    cells = run(project, test)
    assert [cell.outcome.value for cell in cells.values()] == ["passed", "passed", "failed"]
    assert left(cells["test_other"]).startswith("1 thread: ")


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_project_may_list_or_ignore_what_is_left_over(project: Project, arguments: tuple[str, ...]) -> None:
    """`left_over = "list"` lets the test pass and warns at the end, by whichever process; `ignore` says nothing."""
    project.write("pyproject.toml", "[tool.pytest.ini_options]\n[tool.envmatrix]\nleft_over = 'list'\n")
    project.write("test_a.py", f"import threading, time\ndef test_a(real_services): {FORGOTTEN}\n")
    listed = project.pytest(*arguments)
    listed.assert_outcomes(passed=1)
    listed.stdout.fnmatch_lines(["warning: test_a.py::test_a left behind: 1 thread: Thread-* running sleep"])
    assert [cell.outcome for cell in project.run.cells.values()] == [Outcome.PASSED]
    project.write("pyproject.toml", "[tool.pytest.ini_options]\n[tool.envmatrix]\nleft_over = 'ignore'\n")
    ignored = project.pytest(*arguments)
    ignored.assert_outcomes(passed=1)
    ignored.stdout.no_fnmatch_line("*left behind*")


def test_keys_in_a_real_server_fail_the_test_that_left_them(project: Project) -> None:
    """Found by the reset that runs anyway; the next test finds none, and is blamed for none."""
    project.write("environments/tiny.toml", "[services.redis]\nkind = 'redis'\nsource = 'embedded'\n")
    project.write(
        "test_a.py",
        """
        import pytest, redis

        def set_key(services, **options):
            with redis.Redis.from_url(services.redis.url.get_secret_value()) as client:
                assert client.dbsize() == 0
                client.set("order", "1", **options)

        def test_leaves(real_services): set_key(real_services)
        def test_expires(real_services): set_key(real_services, ex=60)
        @pytest.mark.leaves("keys")
        def test_meant(real_services): set_key(real_services)
        def test_fails(real_services):
            set_key(real_services)
            assert 1 == 2
        def test_last(real_services): assert real_services.redis
        """,
    )
    result = project.pytest()
    cells = {name.partition("::")[2]: cell for name, cell in project.run.cells.items()}
    assert left(cells.pop("test_leaves")) == "1 key: order of redis"
    assert [cell.outcome.value for cell in cells.values()] == ["passed", "passed", "failed", "passed"]
    result.stdout.fnmatch_lines(
        ["test_a.py::test_leaves left behind: 1 key: order of redis. Delete or close it in the*"]
    )
    result.stdout.no_fnmatch_line("*entries are hidden*")


def test_a_kind_that_returns_nothing_still_works(project: Project) -> None:
    """Somebody else's `reset` may return None, as before, or what it likes: only texts are taken."""
    project.write(
        "conftest.py",
        """
        import pytest
        from types import SimpleNamespace

        @pytest.fixture(params=[None, True, 7, ("2 messages in topic a",)], ids=str)
        def returned(request): return request.param

        @pytest.fixture
        def part(request, returned, real_services):
            isolation = request.config.pluginmanager.getplugin("envmatrix-process").isolation
            isolation._parts["backend"] = SimpleNamespace(reset=lambda: returned)
            assert real_services.backend_url
        """,
    )
    project.write("test_a.py", "def test_a(part): pass")
    project.pytest()
    *others, told = project.run.cells.values()
    assert [cell.outcome for cell in others] == [Outcome.PASSED] * 3
    assert left(told) == "2 messages in topic a of backend"
