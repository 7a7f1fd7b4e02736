"""What the backend promises in the variants of `local` is kept, and where it is broken, the suite's own tests notice.

One deployment, a right and a broken backend side by side, and one fault after the other.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from envmatrix.environments import load_environment
from envmatrix.services import Endpoint
from envmatrix.services.processes.process import Launcher
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory
from envmatrix.services.supervisor.run_context import RunContext
from envmatrix.services.supervisor.stack import Stack
from envmatrix.services.users import Target, Users
from tests.e2e import test_clickhouse, test_degraded

ROOT = Path(__file__).parents[3]
BROKEN = """
extends = "{local}"

[services.broken]
kind = "http"
source = "process"
command = ["{{python}}", "-m", "tests.framework.reference.broken_backend"]
preload = ["tests.framework.reference.broken_backend"]
start_after = "address"
ready = "/health/ready"

[services.broken.env]
ENVIRONMENT = "{{environment}}"
PORT = "{{broken.port}}"
DATABASE_URL = "{{database.url}}"
REDIS_URL = "{{redis.url}}"
CLICKHOUSE_URL = "{{clickhouse.url}}"
AUTH_URL = "{{auth.url}}"
LLM_URL = "{{llm.url}}"
LLM_API_KEY = "sk-local-scripted"
LLM_MODEL = "scripted-1"
LLM_TIMEOUT = "60"
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`local`, with a second backend named `broken`, in which the model may take as long as it likes."""
    pytest.importorskip("chdb", reason="needs the extra clickhouse")
    declarations = tmp_path_factory.mktemp("declarations")
    (declarations / "local.toml").write_text(BROKEN.format(local=ROOT / "environments/local.toml"))
    run = SupervisorDirectory.create()
    context = RunContext(run, ROOT, Launcher(run))
    environment = load_environment("local+redis_down", declarations, variables={"LOCAL_LLM_TIMEOUT": "0.7"})
    stack = Stack(environment, context)
    try:
        stack.wait(stack.begin(environment.services))
        yield stack
    finally:
        context.stopping.set()
        context.launcher.stop_all(grace=1)
        shutil.rmtree(run.path, ignore_errors=True)


@contextmanager
def users_of(stack: Stack, backend: str) -> Iterator[Users]:
    """Yield what makes users of one of the two backends."""
    endpoints: dict[str, Endpoint] = {
        name: state.endpoint for name, state in stack.states().items() if state.endpoint is not None
    }
    target = Target.of(stack.environment, {**endpoints, "backend": endpoints[backend]})
    assert target is not None
    users = Users(target, "promise")
    yield users
    users.close(delete=False)


SERVICES = SimpleNamespace(environment="local", redis_available=False, clickhouse_available=False)
WITHOUT_MODEL = SimpleNamespace(environment="local", llm_available=False, base_url="there")
REALITY = SimpleNamespace(absent=lambda _: False)

PROMISES: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "redis_down": (
        test_degraded.test_without_redis_agents_answer_and_only_fan_out_is_lost,
        {"real_services": SERVICES},
    ),
    "llm_slow": (
        test_degraded.test_a_model_that_is_slow_or_down_ends_a_run_with_a_typed_error,
        {"real_llm": WITHOUT_MODEL},
    ),
    "clickhouse_down": (
        test_clickhouse.test_without_clickhouse_the_product_says_so_and_works,
        {"real_services": SERVICES, "matrix_reality": REALITY},
    ),
}


@pytest.mark.parametrize("variant", PROMISES)
def test_a_promise_is_kept_and_where_it_is_broken_that_is_caught(stack: Stack, variant: str) -> None:
    """The test of the suite passes with the product, and fails with one that breaks the promise."""
    test, fixtures = PROMISES[variant]
    faults = dict(stack.environment.variants[variant].services)
    if "llm" in faults:
        faults["llm"] = faults["llm"].model_copy(update={"latency": 1.5})
    stack.degrade(faults)
    try:
        with users_of(stack, "backend") as users:
            asyncio.run(test(**fixtures, users=users))
        with users_of(stack, "broken") as users, pytest.raises(AssertionError):
            asyncio.run(test(**fixtures, users=users))
    finally:
        stack.degrade({})
